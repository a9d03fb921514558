"""Which detections of an image found which of its labels.

The matching is that of ultralytics' validator: detections take the labels in order of score, each
the free label of its class with the highest IoU, at ten IoU thresholds, each for itself. Within a
range of object areas it is that of COCO's `cocoeval.py`: labels outside the range are there to be
found but count for nothing, and so do the detections that find them, and the detections outside the
range that find nothing.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distill_jobs.data.dataset import Sample
from distill_jobs.release.overlap import iou_matrix
from handlers.pipeline import Detections

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
ANY_AREA = (0.0, np.inf)

Flags = npt.NDArray[np.bool_]
Boxes = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ImageMatches:
    """What one image adds to the score; resampling these bounds the score's error.

    Attributes:
        hits: bool [K, 10]: whether detection k found a label at each IoU threshold.
        scores: float32 [K], falling.
        class_ids: int64 [K].
        true_ids: int64 [L], the labels' classes.
        ignored: bool [K, 10]: detections that are neither hit nor false alarm there; None: none.
    """

    hits: Flags
    scores: npt.NDArray[np.float32]
    class_ids: Ids
    true_ids: Ids
    ignored: Flags | None = None


def match(
    answer: Detections, sample: Sample, area_px: tuple[float, float] = ANY_AREA
) -> ImageMatches:
    """Compare one image's detections with its labels.

    Args:
        answer: Scores from 0.001; boxes are corners in pixels of the image.
        sample: The image's labels.
        area_px: Only objects of at least this and below that area count, pixels² of the original
            image.

    Returns:
        Its matches, best detection first.

    Raises:
        DataSetInvalid: A label does not fit.
    """
    true_ids, true_boxes = sample.read_labels(answer.width, answer.height)
    order = np.argsort(-answer.scores, kind="stable")
    boxes, class_ids = answer.boxes_xyxy_px[order], answer.class_ids[order].astype(np.int64)
    overlaps = iou_matrix(true_boxes, boxes)
    overlaps *= true_ids[:, None] == class_ids[None, :]
    if area_px == ANY_AREA:
        hits, _ = _found(overlaps, np.ones(len(true_ids), bool))
        return ImageMatches(hits, answer.scores[order], class_ids, true_ids)
    counts = _inside(true_boxes, area_px)
    hits, excused = _found(overlaps, counts)
    ignored = excused | (~hits & ~_inside(boxes, area_px)[:, None])
    kept = ~ignored.all(axis=1)
    return ImageMatches(
        hits[kept], answer.scores[order][kept], class_ids[kept], true_ids[counts], ignored[kept]
    )


def _inside(boxes_xyxy_px: Boxes, area_px: tuple[float, float]) -> Flags:
    sides = np.clip(boxes_xyxy_px[:, 2:] - boxes_xyxy_px[:, :2], 0, None).astype(np.float64)
    areas = sides.prod(axis=1)
    inside: Flags = (areas >= area_px[0]) & (areas < area_px[1])
    return inside


def _found(overlaps: npt.NDArray[np.float32], counts: Flags) -> tuple[Flags, Flags]:
    """Give labels (rows) to detections (columns, best first), each threshold for itself.

    Labels that count are given first; the others only to who finds none of those.

    Returns:
        bool [K, 10] twice: who found a label that counts, and who found another.
    """
    labels, detections = overlaps.shape
    hits = np.zeros((detections, len(IOU_THRESHOLDS)), bool)
    excused = hits.copy()
    if not labels:
        return hits, excused
    taken = np.zeros((labels, len(IOU_THRESHOLDS)), bool)
    thresholds = np.arange(len(IOU_THRESHOLDS))
    # An overlap is at most 1: whoever reaches a label that counts prefers it to all others.
    preference = np.where(counts, 1.0, 0.0)[:, None]
    for column in np.flatnonzero((overlaps >= IOU_THRESHOLDS[0]).any(axis=0)):
        reached = ~taken & (overlaps[:, column, None] >= IOU_THRESHOLDS)
        free = np.where(reached, overlaps[:, column, None] + preference, 0.0)
        best = free.argmax(axis=0)
        found = reached[best, thresholds]
        hits[column] = found & counts[best]
        excused[column] = found & ~counts[best]
        taken[best, thresholds] |= found
    return hits, excused
