import pytest

from proto.wire.v1 import card_pb2
from serving.boxes import Boxes
from serving.controlplane.golden import expected, f1, found, matches
from serving.torchserve.inference import WorkerReply

TOLERANCE = card_pb2.Tolerance(min_iou=0.5, max_score_difference=0.1, min_f1=0.9)
CORNERS = (0.0, 0.0, 10.0, 10.0)


def box(corners: tuple[float, ...] = CORNERS, class_id: int = 0, score: float = 0.8) -> Boxes:
    return Boxes.of(corners, [class_id], [score])


NONE, ONE = Boxes.of([], [], []), box()
TWO = Boxes.of(CORNERS * 2, [0, 0], [0.8, 0.8])


@pytest.mark.parametrize(
    ("other", "count"),
    [
        (box(score=0.71), 1),
        (box(class_id=1), 0),
        (box(score=0.65), 0),
        (box((0, 0, 10, 5.1)), 1),
        (box((0, 0, 10, 4.9)), 0),
    ],
    ids=["close", "class", "score", "overlap", "too-little-overlap"],
)
def test_a_pair_is_of_one_class_and_within_the_tolerance(other: Boxes, count: int) -> None:
    assert matches(ONE, other, TOLERANCE) == count


def test_a_box_is_in_one_pair_at_most() -> None:
    assert matches(ONE, TWO, TOLERANCE) == 1
    assert matches(TWO, ONE, TOLERANCE) == 1
    assert matches(TWO, TWO, TOLERANCE) == 2


def test_f1_sums_over_frames() -> None:
    # 2 pairs of 3 expected and 2 given: 4 / 5.
    assert f1([(TWO, ONE), (ONE, ONE)], TOLERANCE) == pytest.approx(0.8)
    assert f1([(NONE, ONE)], TOLERANCE) == 0.0
    assert f1([(NONE, NONE)], TOLERANCE) == 1.0


def test_card_and_reply_give_the_same_boxes() -> None:
    frame = card_pb2.GoldenFrame(
        detections=[card_pb2.GoldenDetection(x1=1, y1=2, x2=3, y2=4, class_id=1, score=0.5)]
    )
    reply = WorkerReply(9, 9, (1.0, 2.0, 3.0, 4.0), (0.5,), (1,), "v", 0, 0, 0, 0, 1)

    for boxes in (expected(frame), found(reply)):
        assert boxes.corners_px.tolist() == [[1.0, 2.0, 3.0, 4.0]]
        assert (boxes.class_ids.tolist(), boxes.scores.tolist()) == ([1], [0.5])
