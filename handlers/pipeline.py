"""From encoded frames to detections, a batch at a time: the path that serving and parity share."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from handlers.boxes import read_dense_head, suppress, to_original
from handlers.card import Card
from handlers.errors import BadFrame, BadModelOutput
from handlers.fitting import Fit
from handlers.frames import Detections, Frame
from handlers.images import decode_to_fit
from handlers.machine import Machine
from handlers.runtimes import Runtime, load_runtime

__all__ = ["BadFrame", "Detections", "Frame", "Pipeline"]


# What cameras send, width to height: a run of each shape comes before the first camera.
_USUAL_SHAPES = ((16, 9), (4, 3))


@dataclass(frozen=True)
class _Fitted:
    """A frame scaled to its size in the input."""

    frame: Frame
    fit: Fit
    inner: NDArray[np.uint8]
    decode_ms: float
    resize_ms: float


class Pipeline:
    """A detector with everything around it. One caller at a time: the batch buffer is reused.

    Args:
        card: What the model takes and gives.
        runtime: Runs it.
        threads: How many frames of a batch are decoded at once; None: as many as there are cores.
    """

    def __init__(self, card: Card, runtime: Runtime, threads: int | None = 1) -> None:
        self.card = card
        self._runtime = runtime
        threads = threads or Machine.here().cores
        # The decoders release Python's lock; the runtime's threads rest meanwhile.
        self._decoders = ThreadPoolExecutor(threads, "decode") if threads > 1 else None
        self._thresholds = np.array(card.post_processing.operating_thresholds, np.float32)
        self._buffer = np.empty(0, np.float32)
        self._reserve(1)

    @classmethod
    def load(
        cls,
        folder: Path,
        variant: str | None = None,
        threads: int | None = None,
        gpu_id: int | None = None,
    ) -> "Pipeline":
        """Open an extracted archive.

        Args:
            folder: Its root, where `card.json` lies.
            variant: Which of the card's variants; None for its default.
            threads: CPU threads that decode, and then those that a run may use; None: one a core
                for decoding, and as many for the run as the runtime thinks best.
            gpu_id: CUDA device; None for the CPU.

        Raises:
            CardError: The card is absent, is no card, or has no such variant.
            RuntimeFailed: The weights are absent or do not load.
        """
        card = Card.read(folder)
        runtime = load_runtime(card, folder, variant, threads, gpu_id)
        return cls(card, runtime, threads)

    def warm_up(self, batch_size: int = 1) -> None:
        """Run blank frames, so that a model that cannot run fails here and not on a camera's.

        Args:
            batch_size: The largest batch to expect; its buffer is made now.

        Raises:
            BadModelOutput: The model's output does not fit the card.
        """
        spec = self.card.input
        self._reserve(batch_size)
        self._buffer.fill(0)
        usual = [Fit.of(*sides, spec).shape for sides in _USUAL_SHAPES]
        for shape in dict.fromkeys([(spec.height, spec.width), *usual]):
            self._run(self._slots(1, shape))

    def detect(self, frames: Sequence[Frame]) -> list[Detections | BadFrame]:
        """Find the objects in each frame; the model runs once for all that are fitted alike.

        Args:
            frames: The batch, of any size.

        Returns:
            One answer a frame, in order; a frame that cannot be answered gets its `BadFrame`.

        Raises:
            BadModelOutput: The model's output does not fit the card, or is not numbers.
        """
        answers: dict[int, Detections | BadFrame] = {}
        alike: dict[tuple[int, int], dict[int, _Fitted]] = {}
        for place, fitted in enumerate(self._fit_all(frames)):
            if isinstance(fitted, BadFrame):
                answers[place] = fitted
            else:
                alike.setdefault(fitted.fit.shape, {})[place] = fitted
        for shape, group in alike.items():
            answers |= zip(group, self._answer(shape, list(group.values())), strict=True)
        return [answers[place] for place in range(len(frames))]

    def _fit_all(self, frames: Sequence[Frame]) -> Iterable[_Fitted | BadFrame]:
        if self._decoders is None or len(frames) < 2:
            return map(self._fit, frames)
        return self._decoders.map(self._fit, frames)

    def _fit(self, frame: Frame) -> _Fitted | BadFrame:
        started = perf_counter()
        try:
            frame.check()
            image, fit = decode_to_fit(frame.image, self.card.input)
        except BadFrame as bad:
            return bad.kept()
        except MemoryError:  # a large image takes much; its batch-mates need not fail with it
            return BadFrame("out_of_memory", "image: this worker has no memory to decode it now")
        decoded = perf_counter()
        inner = fit.resize(image)
        return _Fitted(frame, fit, inner, 1000 * (decoded - started), _ms_since(decoded))

    def _answer(self, shape: tuple[int, int], group: Sequence[_Fitted]) -> list[Detections]:
        """Answer frames of one shape, height and width, with one run."""
        self._reserve(len(group))
        slots = self._slots(len(group), shape)
        preprocess_ms = []
        for item, slot in zip(group, slots, strict=True):
            started = perf_counter()
            item.fit.place(item.inner, self.card.input, slot)
            preprocess_ms.append(item.resize_ms + _ms_since(started))
        started = perf_counter()
        heads = self._run(slots)
        inference_ms = _ms_since(started)
        return [
            self._finish(item, head, before_ms, inference_ms)
            for item, head, before_ms in zip(group, heads, preprocess_ms, strict=True)
        ]

    def _run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        heads = self._runtime.run(batch)
        expected = (len(batch), 4 + len(self.card.class_names))
        if heads.ndim != 3 or heads.shape[:2] != expected:
            raise BadModelOutput(
                f"the model answered {list(heads.shape)}; "
                f"its card asks for [{expected[0]}, {expected[1]}, anchors]"
            )
        return heads

    def _finish(
        self,
        item: _Fitted,
        head: NDArray[np.float32],
        preprocess_ms: float,
        inference_ms: float,
    ) -> Detections:
        started = perf_counter()
        rules, geometry = self.card.post_processing, item.fit.geometry
        candidates = read_dense_head(head, self._lowest_scores(item.frame), rules.max_candidates)
        limit = item.frame.max_detections or rules.max_detections
        found = suppress(candidates, rules.iou_threshold, limit)
        return Detections(
            boxes_xyxy_px=to_original(found.boxes_xyxy_px, geometry),
            scores=found.scores,
            class_ids=found.class_ids,
            width=geometry.width,
            height=geometry.height,
            decode_ms=item.decode_ms,
            preprocess_ms=preprocess_ms,
            inference_ms=inference_ms,
            postprocess_ms=_ms_since(started),
        )

    def _lowest_scores(self, frame: Frame) -> NDArray[np.float32]:
        if frame.min_score is None:
            return self._thresholds
        return np.full_like(self._thresholds, frame.min_score)

    def _reserve(self, batch_size: int) -> None:
        # Fresh pages cost more than the resize that fills them, so the largest batch's are kept.
        values = batch_size * 3 * self.card.input.height * self.card.input.width
        if values > len(self._buffer):
            self._buffer = np.empty(values, np.float32)

    def _slots(self, count: int, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Return the buffer's beginning as float32 [count, 3, *shape]."""
        height, width = shape
        return self._buffer[: count * 3 * height * width].reshape(count, 3, height, width)


def _ms_since(started: float) -> float:
    return 1000 * (perf_counter() - started)
