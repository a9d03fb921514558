import pytest

from proto.wire.v1 import card_pb2
from serving.controlplane.golden import Box, expected, f1, found, matches
from serving.torchserve.inference import WorkerReply

TOLERANCE = card_pb2.Tolerance(min_iou=0.5, max_score_difference=0.1, min_f1=0.9)
BOX = Box((0.0, 0.0, 10.0, 10.0), 0, 0.8)


def test_iou_of_boxes_is_shared_area_by_union() -> None:
    assert BOX.iou(BOX) == 1.0
    assert BOX.iou(Box((5, 0, 15, 10), 0, 0.8)) == pytest.approx(50 / 150)
    assert BOX.iou(Box((10, 10, 20, 20), 0, 0.8)) == 0.0
    empty = Box((3, 3, 3, 3), 0, 0.8)
    assert empty.iou(empty) == 0.0


@pytest.mark.parametrize(
    ("other", "count"),
    [
        (Box((0, 0, 10, 10), 0, 0.71), 1),
        (Box((0, 0, 10, 10), 1, 0.8), 0),
        (Box((0, 0, 10, 10), 0, 0.65), 0),
        (Box((0, 0, 10, 5.1), 0, 0.8), 1),
        (Box((0, 0, 10, 4.9), 0, 0.8), 0),
    ],
    ids=["close", "class", "score", "overlap", "too-little-overlap"],
)
def test_a_pair_is_of_one_class_and_within_the_tolerance(other: Box, count: int) -> None:
    assert matches([BOX], [other], TOLERANCE) == count


def test_a_box_is_in_one_pair_at_most() -> None:
    assert matches([BOX], [BOX, BOX], TOLERANCE) == 1
    assert matches([BOX, BOX], [BOX], TOLERANCE) == 1
    assert matches([BOX, BOX], [BOX, BOX], TOLERANCE) == 2


def test_f1_sums_over_frames() -> None:
    # 2 pairs of 3 expected and 2 given: 4 / 5.
    answers = [([BOX, BOX], [BOX]), ([BOX], [BOX])]
    assert f1(answers, TOLERANCE) == pytest.approx(0.8)
    assert f1([([], [BOX])], TOLERANCE) == 0.0
    assert f1([([], [])], TOLERANCE) == 1.0


def test_card_and_reply_give_the_same_boxes() -> None:
    frame = card_pb2.GoldenFrame(
        detections=[card_pb2.GoldenDetection(x1=1, y1=2, x2=3, y2=4, class_id=1, score=0.5)]
    )
    reply = WorkerReply(9, 9, (1.0, 2.0, 3.0, 4.0), (0.5,), (1,), "v", 0, 0, 0, 0, 1)
    assert expected(frame) == found(reply) == (Box((1.0, 2.0, 3.0, 4.0), 1, 0.5),)
