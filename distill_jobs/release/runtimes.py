"""PyTorch as a runtime of the handlers, and how long runtimes take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch

from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.result import Latency
from handlers.runtimes import Runtime

_WARM_UP_RUNS = 3
_MAX_RUNS = 60
_MAX_SECONDS = 6.0


class TorchRuntime:
    """The checkpoint itself: the reference every exported file is held against.

    Args:
        module: The checkpoint.
        device: What runs it; the module moves there.
    """

    def __init__(self, module: DenseDetector, device: torch.device | None = None) -> None:
        self._device = device or torch.device("cpu")
        self._module = module.to(self._device)

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Run the module once.

        Args:
            batch: float32 [N, 3, H, W].

        Returns:
            float32 [N, 4 + nc, anchors].
        """
        with torch.inference_mode():
            images = torch.from_numpy(batch).to(self._device)
            answer: npt.NDArray[np.float32] = self._module(images).cpu().numpy()
        return answer


@contextmanager
def torch_threads_kept() -> Iterator[None]:
    """Undo what a TorchScript runtime does to the threads of the whole process."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def measure_latency(runtime: Runtime, image: npt.NDArray[np.float32], *, threads: int) -> Latency:
    """Time a runtime on one image.

    Args:
        runtime: What to time.
        image: float32 [1, 3, H, W].
        threads: How many it has, for the record.

    Returns:
        Median and 99th percentile of up to 60 runs, or of those that fit into 6 seconds.
    """
    for _ in range(_WARM_UP_RUNS):
        runtime.run(image)
    times_ms: list[float] = []
    started = time.perf_counter()
    while len(times_ms) < _MAX_RUNS and time.perf_counter() - started < _MAX_SECONDS:
        before = time.perf_counter()
        runtime.run(image)
        times_ms.append(1e3 * (time.perf_counter() - before))
    p50, p99 = np.percentile(times_ms, [50, 99])
    return Latency(float(p50), float(p99), len(times_ms), threads)


def latency_ratio(
    runtime: Runtime, reference: Runtime, image: npt.NDArray[np.float32], *, rounds: int = 40
) -> float:
    """Return the median of `latency_ratios`: 0.5 for a runtime that takes half the time."""
    return float(np.median(latency_ratios(runtime, reference, image, rounds=rounds)))


def latency_ratios(
    runtime: Runtime, reference: Runtime, image: npt.NDArray[np.float32], *, rounds: int = 40
) -> npt.NDArray[np.float64]:
    """Compare two runtimes on one image, in turns, so that a busy machine slows both.

    Args:
        runtime: What to judge.
        reference: What it is held against.
        image: float32 [1, 3, H, W].
        rounds: How often each is timed.

    Returns:
        float64 [rounds]: the first one's time over the second's.
    """
    ratios = []
    for turn in range(_WARM_UP_RUNS + rounds):
        times_s = []
        for one in (runtime, reference):
            before = time.perf_counter()
            one.run(image)
            times_s.append(time.perf_counter() - before)
        if turn >= _WARM_UP_RUNS:
            ratios.append(times_s[0] / times_s[1])
    return np.array(ratios, np.float64)
