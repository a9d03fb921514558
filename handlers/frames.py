"""What goes into the pipeline and what comes out of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handlers.errors import BadFrame

MIN_SCORE_LOWEST = 0.001
MAX_DETECTIONS_HIGHEST = 1000


@dataclass(frozen=True)
class Frame:
    """One image to look at.

    Attributes:
        image: JPEG, PNG or WebP bytes.
        min_score: Lowest score returned, 0.001 to 1; None for the card's, class by class.
        max_detections: Most detections returned, best first, 1 to 1000; None for the card's.
    """

    image: bytes | bytearray
    min_score: float | None = None
    max_detections: int | None = None

    def check(self) -> None:
        """Hold the options to their limits.

        Raises:
            BadFrame: "invalid_field".
        """
        score, count = self.min_score, self.max_detections
        if score is not None and not MIN_SCORE_LOWEST <= score <= 1:
            raise invalid_field("min_score", f"a number from {MIN_SCORE_LOWEST} to 1", score)
        if count is not None and not 1 <= count <= MAX_DETECTIONS_HIGHEST:
            limit = f"a whole number from 1 to {MAX_DETECTIONS_HIGHEST}"
            raise invalid_field("max_detections", limit, count)


@dataclass(frozen=True)
class Detections:
    """What was found in one frame, best first.

    Attributes:
        boxes_xyxy_px: float32 [K, 4], corners in pixels of the original image, turned upright.
        scores: float32 [K], 0 to 1, falling.
        class_ids: int64 [K].
        width: Of the original image turned upright, in pixels.
        height: Likewise.
        decode_ms: Decoding this frame.
        preprocess_ms: Fitting it to the model's input.
        inference_ms: The model's run on all frames of the batch that are fitted alike.
        postprocess_ms: Picking, suppressing and mapping back this frame's boxes.
    """

    boxes_xyxy_px: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    width: int
    height: int
    decode_ms: float
    preprocess_ms: float
    inference_ms: float
    postprocess_ms: float


def invalid_field(field: str, wanted: str, got: object) -> BadFrame:
    """Return the complaint that an option is not as `wanted`."""
    return BadFrame("invalid_field", f"{field}: must be {wanted}, got {got!r}", field)
