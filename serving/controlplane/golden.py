"""Golden frames: does a worker here answer as the worker did where the archive was built?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from proto.wire.v1 import card_pb2
from serving.torchserve.inference import WorkerReply


@dataclass(frozen=True)
class Box:
    """One detection.

    Attributes:
        xyxy_px: Corners, pixels of the original image.
        class_id: Index into the card's class names.
        score: 0 to 1.
    """

    xyxy_px: tuple[float, float, float, float]
    class_id: int
    score: float

    def iou(self, other: Self) -> float:
        """Return the intersection over union of two boxes, 0 to 1."""
        a, b = self.xyxy_px, other.xyxy_px
        width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
        height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
        shared = width * height
        union = _area(a) + _area(b) - shared
        return shared / union if union > 0 else 0.0


def expected(frame: card_pb2.GoldenFrame) -> tuple[Box, ...]:
    """Return what a golden frame must give."""
    return tuple(
        Box((one.x1, one.y1, one.x2, one.y2), one.class_id, one.score) for one in frame.detections
    )


def found(reply: WorkerReply) -> tuple[Box, ...]:
    """Return what a worker gave."""
    flat = reply.boxes_xyxy_px
    return tuple(
        Box((flat[4 * i], flat[4 * i + 1], flat[4 * i + 2], flat[4 * i + 3]), class_id, score)
        for i, (class_id, score) in enumerate(zip(reply.class_ids, reply.scores, strict=True))
    )


def matches(wanted: Sequence[Box], given: Sequence[Box], tolerance: card_pb2.Tolerance) -> int:
    """Count the pairs of one class that lie within the tolerance, each box in one pair at most.

    Pairs are taken greedily, the highest overlap first.
    """
    pairs = [
        (overlap, i, j)
        for i, one in enumerate(wanted)
        for j, other in enumerate(given)
        if one.class_id == other.class_id
        and abs(one.score - other.score) <= tolerance.max_score_difference
        and (overlap := one.iou(other)) >= tolerance.min_iou
    ]
    left, right = set[int](), set[int]()
    for _, i, j in sorted(pairs, reverse=True):
        if i not in left and j not in right:
            left.add(i)
            right.add(j)
    return len(left)


def f1(
    answers: Sequence[tuple[Sequence[Box], Sequence[Box]]], tolerance: card_pb2.Tolerance
) -> float:
    """Return 2·matches / (expected + given) over all frames; 1 where neither has a box.

    Args:
        answers: Expected and given boxes, a frame each.
        tolerance: Of the variant that answered.
    """
    boxes = sum(len(wanted) + len(given) for wanted, given in answers)
    paired = sum(matches(wanted, given, tolerance) for wanted, given in answers)
    return 2 * paired / boxes if boxes else 1.0


def _area(corners: tuple[float, float, float, float]) -> float:
    return max(0.0, corners[2] - corners[0]) * max(0.0, corners[3] - corners[1])
