"""Golden frames: a few small images that travel in the archive with the answers they must get."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from distill_jobs.errors import ReleaseInvalid
from distill_jobs.release.agreement import Agreement, Rule, compare
from handlers.images import decode
from handlers.pipeline import BadFrame, Detections, Frame, Pipeline
from proto.wire.v1 import card_pb2

COUNT = 3
_SHORTLIST = 9
_MAX_SIDE_PX = 640
_JPEG_QUALITY = 90
_MAX_BOXES = 30
_CLEAR = 0.1
# Other processors round otherwise, so a tolerance is never tighter than this...
_EXACT, _REDUCED = "fp32", "reduced"
_LOOSEST_START = {_EXACT: Rule(0.9, 0.03, band=0.0), _REDUCED: Rule(0.75, 0.1, band=0.0)}
_MIN_F1 = {_EXACT: 0.95, _REDUCED: 0.85}
# ... and where this machine saw more, it leaves this much room beyond.
_IOU_ROOM, _SCORE_ROOM, _F1_ROOM = 0.1, 1.5, 0.1


@dataclass(frozen=True)
class Golden:
    """One golden frame.

    Attributes:
        file: Path in the archive.
        image: Encoded, JPEG.
        detections: The reference's, scores at or above the operating thresholds.
    """

    file: str
    image: bytes
    detections: Detections


def choose(
    images: Sequence[Path], answers: Sequence[Detections], reference: Pipeline
) -> tuple[Golden, ...]:
    """Choose the frames whose answers are the least in doubt.

    A box near its threshold makes a frame useless as a check: it comes and goes with the rounding.
    So frames come first whose every box, drawn or not, keeps `_CLEAR` from its threshold, and among
    them those with the most boxes; then the others by their nearest box; last those without a box.

    Args:
        images: Candidates, held-out images.
        answers: The reference's on them, scores from 0.001.
        reference: Answers again on the frames as they will travel.

    Returns:
        At most `COUNT`, the clearest first.

    Raises:
        ReleaseInvalid: No image gets a detection: the frames would prove nothing, and no
            deployment would take the archive.
    """
    thresholds = np.array(reference.card.post_processing.operating_thresholds, np.float32)
    ranks = [_doubt(answer, thresholds) for answer in answers]
    shortlist = sorted(range(len(images)), key=lambda place: (ranks[place], place))[:_SHORTLIST]
    frames = [_shrink(images[place].read_bytes()) for place in shortlist]
    again = [_doubt(_detect(reference, frame, 0.001), thresholds) for frame in frames]
    best = sorted(range(len(frames)), key=lambda place: (again[place], place))[:COUNT]
    chosen = tuple(
        Golden(f"golden/{number}.jpg", frames[place], _detect(reference, frames[place], None))
        for number, place in enumerate(best, start=1)
    )
    if not any(len(one.detections.scores) for one in chosen):
        raise ReleaseInvalid(
            "golden frames",
            f"on none of {len(images)} images does the model find anything at its operating "
            "thresholds, so no frame can show that it works: train it longer, or give images "
            "that show its classes",
        )
    return chosen


def tolerance(golden: Sequence[Golden], variant: Pipeline, precision: str) -> card_pb2.Tolerance:
    """Measure how far a variant strays on the golden frames, and allow that and some room.

    Args:
        golden: The frames.
        variant: Answers them.
        precision: "fp32", or a reduced one.

    Returns:
        What a worker elsewhere must keep to.
    """
    thresholds = np.array(variant.card.post_processing.operating_thresholds, np.float32)
    expected = [frame.detections for frame in golden]
    got = [_detect(variant, frame.image, None) for frame in golden]
    seen = compare(expected, got, thresholds, Rule(band=0.0))
    kind = _EXACT if precision == "fp32" else _REDUCED
    rule = _widened(_LOOSEST_START[kind], seen)
    within = compare(expected, got, thresholds, rule)
    return card_pb2.Tolerance(
        min_iou=rule.min_iou,
        max_score_difference=rule.max_score_difference,
        min_f1=round(max(0.0, min(_MIN_F1[kind], within.f1 - _F1_ROOM)), 3),
    )


def _widened(start: Rule, seen: Agreement) -> Rule:
    return Rule(
        min_iou=round(max(0.5, min(start.min_iou, seen.min_iou - _IOU_ROOM)), 3),
        max_score_difference=round(
            min(1.0, max(start.max_score_difference, _SCORE_ROOM * seen.max_score_difference)), 3
        ),
        band=0.0,
    )


def _doubt(
    answer: Detections, thresholds: npt.NDArray[np.float32]
) -> tuple[bool, bool, int, float]:
    """Return what sorts a frame, the least doubtful first."""
    margins = answer.scores - thresholds[answer.class_ids]
    nearest = float(np.abs(margins).min(initial=1.0))
    boxes = int((margins >= 0).sum())
    is_clear = nearest >= _CLEAR
    return not 0 < boxes <= _MAX_BOXES, not is_clear, -boxes if is_clear else 0, -nearest


def _detect(pipeline: Pipeline, image: bytes, min_score: float | None) -> Detections:
    (answer,) = pipeline.detect([Frame(image, min_score=min_score)])
    if isinstance(answer, BadFrame):
        raise answer
    return answer


def _shrink(image: bytes) -> bytes:
    """Encode an image anew as a small JPEG, without whatever its file carried beside the pixels."""
    pixels: npt.NDArray[np.uint8] = decode(image)
    scale = min(1.0, _MAX_SIDE_PX / max(pixels.shape[:2]))
    if scale < 1.0:
        size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return bytes(encoded.tobytes())
