"""From the model's raw output to boxes in the original image.

A dense head answers every anchor with a box and one sigmoid score a class. Every pair of anchor and
class whose score reaches its threshold is a candidate: ultralytics' validator does the same
(`multi_label=True`), and with per-class thresholds it is the only rule under which each class keeps
its own: an anchor whose best class is just under its threshold still counts for its second.

Measured with yolov8n on the 128 COCO val images: mAP50-95 0.433 at min_score 0.001 (ultralytics'
validator on the same square input: 0.433; best class only: 0.427), while at the thresholds that
serve it costs nothing: 359 boxes instead of 357 over 64 images at 0.25, the same 218 at 0.5.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handlers.errors import BadModelOutput
from handlers.fitting import Geometry

_FIRST_BLOCK = 512


@dataclass(frozen=True)
class Candidates:
    """Boxes with their class and score, best first.

    Attributes:
        boxes_xyxy_px: float32 [K, 4], corners.
        scores: float32 [K], 0 to 1, falling.
        class_ids: int64 [K].
    """

    boxes_xyxy_px: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]

    def take(self, places: NDArray[np.int64]) -> "Candidates":
        """Return the ones at `places`, int64 [K'], in that order."""
        return Candidates(self.boxes_xyxy_px[places], self.scores[places], self.class_ids[places])


def read_dense_head(
    head: NDArray[np.float32], thresholds: NDArray[np.float32], max_candidates: int
) -> Candidates:
    """Pick the candidates of one frame.

    Args:
        head: float32 [4 + C, A]: cx, cy, w, h in input pixels, then C class scores 0 to 1.
        thresholds: float32 [C], the lowest score kept, class by class.
        max_candidates: How many of the best are kept.

    Returns:
        Candidates in input pixels, not suppressed.

    Raises:
        BadModelOutput: A score or a candidate's box is not a number.
    """
    class_scores = head[4:]
    best = class_scores.max(axis=0)
    if np.isnan(best).any():  # max() passes a NaN on, so this costs A looks, not C * A
        raise BadModelOutput("the model's scores are not numbers")
    anchors = np.flatnonzero(best >= thresholds.min())
    class_scores = class_scores[:, anchors]
    class_ids, columns = np.nonzero(class_scores >= thresholds[:, np.newaxis])
    scores = class_scores[class_ids, columns]
    order = np.argsort(-scores, kind="stable")[:max_candidates]
    boxes = _corners(head[:4, anchors[columns[order]]])
    if not np.isfinite(boxes).all():
        raise BadModelOutput("the model's boxes are not finite numbers")
    return Candidates(boxes, scores[order], class_ids[order])


def suppress(candidates: Candidates, iou_threshold: float, max_detections: int) -> Candidates:
    """Suppress, class by class, what overlaps a better box of its class.

    Greedy suppression of the best n candidates is the beginning of greedy suppression of all, so
    candidates are taken in blocks that double until enough are kept: at the evaluation's threshold
    of 0.001 thousands need never be looked at.

    Args:
        candidates: Best first.
        iou_threshold: An IoU above this is an overlap.
        max_detections: How many are kept at most.

    Returns:
        The kept ones, best first.
    """
    count, block = len(candidates.scores), min(_FIRST_BLOCK, len(candidates.scores))
    corners_and_sizes = candidates.boxes_xyxy_px.astype(np.float64)
    corners_and_sizes[:, 2:] -= corners_and_sizes[:, :2]
    class_ids = candidates.class_ids.astype(np.int32)
    while True:
        # score_threshold: the real ones have been applied, class by class.
        kept = cv2.dnn.NMSBoxesBatched(
            corners_and_sizes[:block],  # type: ignore[arg-type]  # takes arrays, unlike its stub
            candidates.scores[:block],  # type: ignore[arg-type]
            class_ids[:block],  # type: ignore[arg-type]
            score_threshold=-1.0,
            nms_threshold=iou_threshold,
        )
        if len(kept) >= max_detections or block == count:
            return candidates.take(np.asarray(kept, np.int64)[:max_detections])
        block = min(2 * block, count)


def to_original(boxes_xyxy: NDArray[np.float32], geometry: Geometry) -> NDArray[np.float32]:
    """Map boxes from the model's input back to the original image, clipped to it.

    Args:
        boxes_xyxy: float32 [K, 4], input pixels.
        geometry: How the image was fitted.

    Returns:
        float32 [K, 4], original pixels, 0 to width and 0 to height.
    """
    offset = np.array([geometry.left, geometry.top] * 2, np.float32)
    scale = np.array([geometry.scale_x, geometry.scale_y] * 2, np.float32)
    limit = np.array([geometry.width, geometry.height] * 2, np.float32)
    original: NDArray[np.float32] = ((boxes_xyxy - offset) / scale).clip(0, limit)
    return original


def _corners(boxes_cxcywh: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn [4, K] of centres and sizes into [K, 4] of corners."""
    centre, half = boxes_cxcywh[:2], boxes_cxcywh[2:] / 2
    return np.concatenate([centre - half, centre + half]).T.copy()
