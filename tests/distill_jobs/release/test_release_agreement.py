"""Which detections belong together, and what counts as one missing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_release_evaluate import found

from distill_jobs.recipe.release import Gate
from distill_jobs.release.agreement import Rule, compare
from distill_jobs.release.evaluate import Quality
from distill_jobs.release.overlap import iou_matrix, pair_up
from distill_jobs.release.parity import Answers, judge, raw_fault

THRESHOLDS = np.array([0.25, 0.5], np.float32)
BOX, FAR = (10.0, 10.0, 30.0, 30.0), (60.0, 10.0, 80.0, 30.0)
GATE = Gate()


def test_iou_of_boxes_that_overlap_touch_and_are_empty() -> None:
    first = np.array([[0, 0, 10, 10], [5, 5, 5, 5]], np.float32)
    second = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [5, 5, 5, 5]], np.float32)

    overlaps = iou_matrix(first, second)

    assert overlaps == pytest.approx(np.array([[1, 1 / 3, 0, 0], [0, 0, 0, 0]]))


def test_as_many_pairs_as_can_be_before_the_best_overlap() -> None:
    # Greedy would give row 0 its best, column 0, and leave row 1 alone.
    overlaps = np.array([[0.9, 0.6], [0.8, 0.0]], np.float32)

    rows, columns = pair_up(overlaps, 0.5)

    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_no_boxes_make_no_pairs() -> None:
    rows, columns = pair_up(np.zeros((0, 3), np.float32), 0.5)

    assert (len(rows), len(columns)) == (0, 0)


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.integers(0, 1)), max_size=8),
)
def test_an_answer_agrees_with_itself(rows: list[tuple[float, int]]) -> None:
    answer = found(*((20.0 * i, 0, 20.0 * i + 10, 10, *row) for i, row in enumerate(rows)))

    agreement = compare([answer], [answer], THRESHOLDS, Rule())

    assert agreement.f1 == 1.0
    assert (agreement.min_iou, agreement.max_score_difference) == (1.0, 0.0)


def test_a_box_that_falls_just_under_its_threshold_is_forgiven_within_the_band() -> None:
    here, there = found((*BOX, 0.26, 0)), found((*BOX, 0.22, 0))

    forgiving = compare([here], [there], THRESHOLDS, Rule())
    strict = compare([here], [there], THRESHOLDS, Rule(band=0.0))

    assert (forgiving.pairs, forgiving.f1) == (1, 1.0)
    assert (strict.missed, strict.f1) == (1, 0.0)


def test_a_box_that_falls_further_is_missed() -> None:
    agreement = compare([found((*BOX, 0.26, 0))], [found((*BOX, 0.19, 0))], THRESHOLDS, Rule())

    assert (agreement.pairs, agreement.missed, agreement.invented) == (0, 1, 0)


def test_the_band_forgives_half_of_a_low_threshold_at_most() -> None:
    low = np.full(2, 0.04, np.float32)
    here = [found((*BOX, 0.3, 0))]

    near = compare(here, [found((*BOX, 0.021, 0))], low, Rule())
    silent = compare(here, [found((*BOX, 0.002, 0))], low, Rule())

    assert (near.pairs, near.missed) == (1, 0)
    assert (silent.pairs, silent.missed, silent.f1) == (0, 1, 0.0)


def test_boxes_that_reach_the_threshold_nowhere_do_not_count() -> None:
    agreement = compare([found((*BOX, 0.24, 0))], [found((*BOX, 0.23, 0))], THRESHOLDS, Rule())

    assert (agreement.pairs, agreement.missed, agreement.invented) == (0, 0, 0)


def test_each_class_has_its_own_threshold_and_pairs_only_with_itself() -> None:
    here = found((*BOX, 0.4, 1), (*FAR, 0.9, 0))
    there = found((*BOX, 0.4, 1), (*FAR, 0.9, 1))

    agreement = compare([here], [there], THRESHOLDS, Rule())

    assert (agreement.pairs, agreement.missed, agreement.invented) == (0, 1, 1)


def test_f1_over_several_images() -> None:
    here = [found((*BOX, 0.9, 0), (*FAR, 0.9, 0)), found()]
    there = [found((*BOX, 0.9, 0)), found((*BOX, 0.9, 0))]

    agreement = compare(here, there, THRESHOLDS, Rule())

    assert agreement.f1 == pytest.approx(2 * 1 / (2 + 2))


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ((*BOX, 0.915, 0), "no partner"),  # score off by 0.015
        ((10, 10, 30.5, 30, 0.9, 0), "no partner"),  # IoU 0.976
        ((*BOX, 0.9, 1), "no partner"),
    ],
)
def test_fp32_must_repeat_every_clear_box(row: tuple[float, ...], part: str) -> None:
    reference, answer = Answers((found((*BOX, 0.9, 0)),), None), Answers((found(row),), None)

    assert part in judge("fp32", reference, answer, THRESHOLDS, GATE).reason


def test_fp32_may_differ_within_the_limits_and_in_doubtful_boxes() -> None:
    reference = Answers((found((*BOX, 0.9, 0), (*FAR, 0.26, 0)),), None)
    answer = Answers((found((10.05, 10, 30, 30, 0.895, 0)),), None)

    assert judge("fp32", reference, answer, THRESHOLDS, GATE).passed


def test_fp32_must_not_invent_a_clear_box() -> None:
    reference = Answers((found((*BOX, 0.9, 0)),), None)
    answer = Answers((found((*BOX, 0.9, 0), (*FAR, 0.31, 0)),), None)

    assert not judge("fp32", reference, answer, THRESHOLDS, GATE).passed


def reduced(images: int, map50_95: float, right: int) -> Answers:
    """Answers whose first `right` images show the box."""
    rows = tuple(found((*BOX, 0.9, 0)) if i < right else found() for i in range(images))
    return Answers(rows, Quality(0.9, map50_95, images, images, ()))


@pytest.mark.parametrize(
    ("images", "map50_95", "right", "part"),
    [
        (100, 0.5, 100, ""),
        (100, 0.4951, 95, ""),
        (100, 0.4949, 100, "falls by 0.51 points"),
        (100, 0.5, 94, "matched F1 0.9691 is below"),
    ],
)
def test_a_reduced_precision_is_held_to_f1_and_map(
    images: int, map50_95: float, right: int, part: str
) -> None:
    reference = reduced(images, 0.5, images)

    verdict = judge("int8", reference, reduced(images, map50_95, right), THRESHOLDS, GATE)

    assert verdict.passed is (part == "")
    assert part in verdict.reason


def test_without_an_object_a_reduced_precision_has_lost_nothing_and_kept_nothing() -> None:
    silent = Answers(tuple(found() for _ in range(100)), Quality(0.0, 0.0, 100, 0, ()))

    verdict = judge("int8", silent, silent, THRESHOLDS, GATE)

    assert "cannot be measured without labelled images" in verdict.reason


class Fixed:
    """A runtime that answers the first N rows of one array, plus a fault from a batch size on."""

    def __init__(self, faulty_from: int = 99) -> None:
        self.answer = np.linspace(0, 1, 4 * 6 * 5, dtype=np.float32).reshape(4, 6, 5)
        self.faulty_from = faulty_from

    def run(self, batch: np.ndarray) -> np.ndarray:
        return self.answer[: len(batch)] + np.float32(0.02 * (len(batch) >= self.faulty_from))


def test_raw_numbers_are_compared_at_several_batch_sizes() -> None:
    batch = np.zeros((4, 3, 8, 8), np.float32)

    assert raw_fault(Fixed(), Fixed(), batch) == ""
    assert "at a batch of 3" in raw_fault(Fixed(), Fixed(faulty_from=3), batch)
