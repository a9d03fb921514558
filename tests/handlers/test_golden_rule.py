"""Workers and serving judge golden frames by one rule, written twice: islands share no code."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.golden import Boxes, GoldenFrame, Tolerance, f1
from proto.wire.v1 import card_pb2
from serving import boxes as serving_boxes
from serving.controlplane import golden as serving_golden

# Few places and scores, so that boxes contest each other.
BOX = st.tuples(
    st.integers(0, 6), st.integers(0, 3), st.sampled_from([0, 1]), st.sampled_from([0.5, 0.6, 0.9])
)
ANSWER = st.lists(BOX, max_size=7)


def corners(box: tuple[int, int, int, float]) -> list[float]:
    x, y = 3.0 * box[0], 4.0 * box[1]
    return [x, y, x + 10, y + 10]


def ours(answer: list[tuple[int, int, int, float]]) -> Boxes:
    return Boxes(
        np.array([corners(box) for box in answer], np.float64).reshape(-1, 4),
        np.array([box[2] for box in answer], np.int64),
        np.array([box[3] for box in answer], np.float64),
    )


def theirs(answer: list[tuple[int, int, int, float]]) -> serving_boxes.Boxes:
    flat = [side for box in answer for side in corners(box)]
    return serving_boxes.Boxes.of(flat, [box[2] for box in answer], [box[3] for box in answer])


@settings(max_examples=200, deadline=None)
@given(
    frames=st.lists(st.tuples(ANSWER, ANSWER), min_size=1, max_size=3),
    min_iou=st.sampled_from([0.2, 0.5, 0.8]),
    difference=st.sampled_from([0.05, 0.2, 1.0]),
)
def test_both_count_the_same_pairs(
    frames: list[tuple[list, list]], min_iou: float, difference: float
) -> None:
    told = card_pb2.Tolerance(min_iou=min_iou, max_score_difference=difference)
    tolerance = Tolerance(told.min_iou, told.max_score_difference, 0.9)

    mine = f1(
        [GoldenFrame(b"", ours(wanted)) for wanted, _ in frames],
        [ours(given) for _, given in frames],
        tolerance,
    )

    other = serving_golden.f1([(theirs(wanted), theirs(given)) for wanted, given in frames], told)
    assert mine == pytest.approx(other)


def test_a_box_that_could_go_to_two_takes_the_one_the_other_leaves() -> None:
    # The first could take either; taken greedily, the second is left without.
    wanted = ours([(0, 0, 0, 0.9), (1, 0, 0, 0.9)])
    given = ours([(1, 0, 0, 0.9), (2, 0, 0, 0.9)])

    assert f1([GoldenFrame(b"", wanted)], [given], Tolerance(0.5, 0.1, 1)) == 1
