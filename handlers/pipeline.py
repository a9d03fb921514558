"""From encoded frames to detections, a batch at a time: the path that serving and parity share."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from handlers.boxes import read_dense_head, suppress, to_original
from handlers.card import Card
from handlers.errors import BadFrame, BadModelOutput
from handlers.frames import Detections, Frame
from handlers.images import Geometry, decode, letterbox
from handlers.runtimes import Runtime, load_runtime

__all__ = ["BadFrame", "Detections", "Frame", "Pipeline"]


@dataclass(frozen=True)
class _Prepared:
    """A frame in its slot of the batch."""

    frame: Frame
    geometry: Geometry
    decode_ms: float
    preprocess_ms: float


class Pipeline:
    """A detector with everything around it. One thread at a time: the batch buffer is reused.

    Args:
        card: What the model takes and gives.
        runtime: Runs it.
    """

    def __init__(self, card: Card, runtime: Runtime) -> None:
        self.card = card
        self._runtime = runtime
        self._thresholds = np.array(card.post_processing.operating_thresholds, np.float32)
        self._buffer = self._allocate(1)

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
            threads: CPU threads a run may use; None leaves it to the runtime.
            gpu_id: CUDA device; None for the CPU.

        Raises:
            CardError: The card is absent, is no card, or has no such variant.
            RuntimeFailed: The weights are absent or do not load.
        """
        card = Card.read(folder)
        return cls(card, load_runtime(card, folder, variant, threads, gpu_id))

    def warm_up(self, batch_size: int = 1) -> None:
        """Run a blank frame, so that a model that cannot run fails here and not on a camera's.

        Args:
            batch_size: The largest batch to expect; its buffer is made now.

        Raises:
            BadModelOutput: The model's output does not fit the card.
        """
        self._reserve(batch_size)
        self._buffer.fill(0)
        self._run(self._buffer[:1])

    def detect(self, frames: Sequence[Frame]) -> list[Detections | BadFrame]:
        """Find the objects in each frame; the model runs once for all that are good.

        Args:
            frames: The batch, of any size.

        Returns:
            One answer a frame, in order; a frame that cannot be answered gets its `BadFrame`.

        Raises:
            BadModelOutput: The model's output does not fit the card, or is not numbers.
        """
        self._reserve(len(frames))
        answers: dict[int, Detections | BadFrame] = {}
        prepared: dict[int, _Prepared] = {}
        for place, frame in enumerate(frames):
            try:
                prepared[place] = self._prepare(frame, self._buffer[len(prepared)])
            except BadFrame as bad:
                answers[place] = bad
        if prepared:
            started = perf_counter()
            heads = self._run(self._buffer[: len(prepared)])
            inference_ms = _ms_since(started)
            for (place, item), head in zip(prepared.items(), heads, strict=True):
                answers[place] = self._finish(item, head, inference_ms)
        return [answers[place] for place in range(len(frames))]

    def _prepare(self, frame: Frame, slot: NDArray[np.float32]) -> _Prepared:
        frame.check()
        started = perf_counter()
        image = decode(frame.image)
        decoded = perf_counter()
        _, geometry = letterbox(image, self.card.input, slot)
        return _Prepared(frame, geometry, 1000 * (decoded - started), _ms_since(decoded))

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
        self, item: _Prepared, head: NDArray[np.float32], inference_ms: float
    ) -> Detections:
        started = perf_counter()
        rules, geometry = self.card.post_processing, item.geometry
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
            preprocess_ms=item.preprocess_ms,
            inference_ms=inference_ms,
            postprocess_ms=_ms_since(started),
        )

    def _lowest_scores(self, frame: Frame) -> NDArray[np.float32]:
        if frame.min_score is None:
            return self._thresholds
        return np.full_like(self._thresholds, frame.min_score)

    def _reserve(self, batch_size: int) -> None:
        # Fresh pages cost more than the resize that fills them, so the largest batch's are kept.
        if batch_size > len(self._buffer):
            self._buffer = self._allocate(batch_size)

    def _allocate(self, batch_size: int) -> NDArray[np.float32]:
        return np.empty((batch_size, 3, self.card.input.height, self.card.input.width), np.float32)


def _ms_since(started: float) -> float:
    return 1000 * (perf_counter() - started)
