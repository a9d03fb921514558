"""How long one image takes and how many bytes a model has: INT8, FP32, teacher in PyTorch."""

import io
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import torch

from bench.distill.cells import Figures, Inputs
from bench.distill.folds import Fold
from bench.distill.measuring import card_of
from bench.distill.quantizing import int8_file, onnx_runtime, quantized
from distill_jobs.checkpoints import load_detector, parameter_count
from distill_jobs.release.answers import tensor_of
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.export import export_onnx
from distill_jobs.release.runtimes import TorchRuntime
from handlers.requirements import multiplies_8_bits_exactly
from handlers.runtimes import Runtime

_ROUNDS = 100
_WARM_UP_ROUNDS = 5
_THREADS = (1, 2)
_LOOK_S = 5.0
_QUIET_PERCENT = 10.0
_PATIENCE_S = 1800.0


@dataclass(frozen=True)
class _Side:
    """The runtimes at one image size."""

    student_fp32: Path
    student_int8: Path
    teacher: DenseDetector
    image: npt.NDArray[np.float32]


def latency_cell(
    inputs: Inputs, fold: Fold, *, student: Path, teacher: Path, here: Path
) -> Figures:
    """Time the three in turns, so that whatever else the machine does slows all of them.

    Every row says how busy others kept the cores just before.

    Args:
        inputs: `sides_px`, squares.
        fold: Its images calibrate INT8, and one is timed.
        student: Checkpoint.
        teacher: Checkpoint.
        here: Gets the exported files.
    """
    stem_layers = _stem(inputs, fold, student, here)
    rows = []
    sizes: dict[str, Any] = {}
    for side_px in inputs["sides_px"]:
        folder = here / str(side_px)
        folder.mkdir()
        side = _side(fold, (student, teacher), int(side_px), stem_layers, folder)
        sizes[str(side_px)] = {
            "student_int8_onnx": side.student_int8.stat().st_size,
            "student_fp32_onnx": side.student_fp32.stat().st_size,
        }
        for threads in _THREADS:
            others = _await_quiet()
            rows.append({"side_px": side_px, **_timed(side, threads), "others_percent": others})
    return {
        "rounds": _ROUNDS,
        "float_stem_layers": stem_layers,
        "vnni": multiplies_8_bits_exactly(),
        "rows": rows,
        "bytes": {
            "onnx_by_side_px": sizes,
            "student_checkpoint_fp16": student.stat().st_size,
            "teacher_checkpoint_fp16": teacher.stat().st_size,
            "teacher_fp32": _fp32_bytes(teacher),
            "student_fp32": _fp32_bytes(student),
        },
        "teacher_parameters": parameter_count(load_detector(teacher)),
        "student_parameters": parameter_count(load_detector(student)),
    }


def _stem(inputs: Inputs, fold: Fold, student: Path, here: Path) -> int:
    """Choose the float layers at the size of the training, as for the accuracy."""
    side_px = int(inputs["sides_px"][0])
    module = DenseDetector(load_detector(student), side_px)
    folder = here / "stem"
    folder.mkdir()
    return quantized(module, card_of(fold, side_px), fold, folder).stem_layers


def _side(
    fold: Fold, student_teacher: tuple[Path, Path], side_px: int, stem_layers: int, folder: Path
) -> _Side:
    card = card_of(fold, side_px)
    student, teacher = (
        DenseDetector(load_detector(checkpoint), side_px) for checkpoint in student_teacher
    )
    floating = export_onnx(student, folder / "model.onnx")
    int8 = int8_file(student, card, fold, floating, stem_layers)
    image = tensor_of(card, fold.held_out[0].image)[None]
    return _Side(floating, int8, teacher, image)


def _await_quiet() -> float:
    """Wait until other processes leave the cores alone; returns what share of them they took.

    With as many threads as cores, a busy neighbour makes PyTorch's wait for each other many times
    longer; interleaving does not mend that.
    """
    until_s = time.monotonic() + _PATIENCE_S
    while (percent := psutil.cpu_percent(interval=_LOOK_S)) > _QUIET_PERCENT:
        if time.monotonic() > until_s:
            break
    return float(percent)


def _timed(side: _Side, threads: int) -> Figures:
    torch.set_num_threads(threads)
    runtimes: dict[str, Runtime] = {
        "student_int8_onnx": onnx_runtime(side.student_int8, threads=threads),
        "student_fp32_onnx": onnx_runtime(side.student_fp32, threads=threads),
        "teacher_fp32_torch": TorchRuntime(side.teacher),
    }
    image = np.ascontiguousarray(side.image)
    times_ms: dict[str, list[float]] = {name: [] for name in runtimes}
    for turn in range(_WARM_UP_ROUNDS + _ROUNDS):
        for name, runtime in runtimes.items():
            before = time.perf_counter()
            runtime.run(image)
            if turn >= _WARM_UP_ROUNDS:
                times_ms[name].append(1e3 * (time.perf_counter() - before))
    return {"threads": threads, **_summary(times_ms)}


def _summary(times_ms: dict[str, list[float]]) -> Figures:
    int8, fp32, teacher = (times_ms[name] for name in times_ms)
    return {
        "p50_ms": {name: round(median(times), 2) for name, times in times_ms.items()},
        "int8_over_fp32_speedup": _ratio(fp32, int8),
        "student_int8_over_teacher_speedup": _ratio(teacher, int8),
    }


def _ratio(slow: list[float], fast: list[float]) -> float:
    """Return the median of the rounds' ratios."""
    return round(median(one / other for one, other in zip(slow, fast, strict=True)), 2)


def _fp32_bytes(checkpoint: Path) -> int:
    """Return how many bytes the weights take when they are stored in single precision."""
    buffer = io.BytesIO()
    torch.save(load_detector(checkpoint).float().state_dict(), buffer)
    return buffer.getbuffer().nbytes
