from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.boxes import Boxes, iou_matrix, pair_up


def boxes(*corners: tuple[float, float, float, float]) -> Boxes:
    flat = [side for one in corners for side in one]
    return Boxes.of(flat, [0] * len(corners), [0.5] * len(corners))


@st.composite
def small_sets(draw: st.DrawFn) -> Boxes:
    """Up to six boxes on a coarse grid, where overlaps and ties abound."""
    count = draw(st.integers(0, 6))
    sides = st.integers(0, 6)
    flat: list[float] = []
    for _ in range(count):
        x, y = draw(sides), draw(sides)
        flat += [x, y, x + draw(st.integers(0, 5)), y + draw(st.integers(0, 5))]
    ids = draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))
    scores = draw(st.lists(st.sampled_from((0.2, 0.5, 0.9)), min_size=count, max_size=count))
    return Boxes.of(flat, ids, scores)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Return the IoU of two boxes, the long way."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(one[2] - one[0]) * (one[3] - one[1]) for one in (a, b)]
    union = sum(areas) - width * height
    return width * height / union if union else 0.0


def best_by_trying_all(first: Boxes, second: Boxes, min_iou: float) -> tuple[int, float]:
    """Return the number of pairs and their overlap, of the best of all pairings there are."""
    few, many = sorted((first, second), key=len)
    best = (0, 0.0)
    for order in permutations(range(len(many)), len(few)):
        found = [
            overlap
            for i, j in enumerate(order)
            if few.class_ids[i] == many.class_ids[j]
            and (overlap := iou(few.corners_px[i], many.corners_px[j])) >= min_iou
        ]
        best = max(best, (len(found), sum(found)))
    return best


def test_iou_is_shared_area_by_union() -> None:
    first = boxes((0, 0, 10, 10), (3, 3, 3, 3))
    second = boxes((0, 0, 10, 10), (5, 0, 15, 10), (10, 10, 20, 20), (3, 3, 3, 3))

    overlaps = iou_matrix(first.corners_px, second.corners_px)

    np.testing.assert_allclose(overlaps, [[1, 1 / 3, 0, 0], [0, 0, 0, 0]])


def test_the_number_of_pairs_rules_over_their_overlap() -> None:
    # Greedy takes the perfect overlap and leaves two boxes alone.
    first = boxes((0, 0, 10, 10), (3, 0, 13, 10))
    second = boxes((0, 0, 10, 10), (-3, 0, 7, 10))

    pairs = pair_up(first, second, min_iou=0.5)

    assert sorted(zip(pairs.first, pairs.second, strict=True)) == [(0, 1), (1, 0)]
    np.testing.assert_allclose(pairs.ious, [7 / 13, 7 / 13])


def test_the_nearer_score_decides_between_equal_overlaps() -> None:
    first = Boxes.of([0, 0, 4, 4], [0], [0.9])
    second = Boxes.of([0, 0, 4, 4] * 2, [0, 0], [0.3, 0.8])

    pairs = pair_up(first, second, min_iou=0.5)

    assert pairs.second.tolist() == [1]
    assert pairs.score_differences.tolist() == pytest.approx([0.1])


@given(small_sets(), small_sets(), st.sampled_from((0.1, 0.5, 0.75)))
def test_no_pairing_is_better(first: Boxes, second: Boxes, min_iou: float) -> None:
    pairs = pair_up(first, second, min_iou=min_iou)

    count, overlap = best_by_trying_all(first, second, min_iou)
    assert len(pairs) == count
    assert pairs.ious.sum() == pytest.approx(overlap, abs=1e-4)


@given(small_sets(), small_sets(), st.floats(0.05, 1), st.floats(0, 1))
def test_pairs_are_one_to_one_and_within_their_limits(
    first: Boxes, second: Boxes, min_iou: float, max_score_difference: float
) -> None:
    pairs = pair_up(first, second, min_iou=min_iou, max_score_difference=max_score_difference)

    assert len(set(pairs.first)) == len(set(pairs.second)) == len(pairs)
    assert len(pairs) <= min(len(first), len(second))
    assert (first.class_ids[pairs.first] == second.class_ids[pairs.second]).all()
    assert (pairs.ious >= min_iou).all()
    assert (pairs.score_differences <= max_score_difference).all()
