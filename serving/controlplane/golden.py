"""Golden frames: does a worker here answer as the worker did where the archive was built?"""

from collections.abc import Sequence

from proto.wire.v1 import card_pb2
from serving.boxes import Boxes, pair_up
from serving.torchserve.inference import WorkerReply


def expected(frame: card_pb2.GoldenFrame) -> Boxes:
    """Return what a golden frame must give."""
    return Boxes.of(
        [side for one in frame.detections for side in (one.x1, one.y1, one.x2, one.y2)],
        [one.class_id for one in frame.detections],
        [one.score for one in frame.detections],
    )


def found(reply: WorkerReply) -> Boxes:
    """Return what a worker gave."""
    return Boxes.of(reply.boxes_xyxy_px, reply.class_ids, reply.scores)


def matches(wanted: Boxes, given: Boxes, tolerance: card_pb2.Tolerance) -> int:
    """Count the pairs of one class that lie within the tolerance, each box in one pair at most."""
    return len(
        pair_up(
            wanted,
            given,
            min_iou=tolerance.min_iou,
            max_score_difference=tolerance.max_score_difference,
        )
    )


def f1(answers: Sequence[tuple[Boxes, Boxes]], tolerance: card_pb2.Tolerance) -> float:
    """Return 2·matches / (expected + given) over all frames; 1 where neither has a box.

    Args:
        answers: Expected and given boxes, a frame each.
        tolerance: Of the variant that answered.
    """
    boxes = sum(len(wanted) + len(given) for wanted, given in answers)
    paired = sum(matches(wanted, given, tolerance) for wanted, given in answers)
    return 2 * paired / boxes if boxes else 1.0
