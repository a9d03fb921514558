"""A student's operating thresholds: by hand."""

import numpy as np
import pytest

from distill_jobs.recipe.thresholds import Thresholds
from distill_jobs.release.matches import ImageMatches
from distill_jobs.release.operating import Operating
from distill_jobs.release.thresholds import ClassThreshold, keep_default, match_thresholds

NAMES = ("cat",)
AT_25 = np.array([0.25], np.float32)


def scored(*rows: tuple[float, bool], labels: int = 10, class_id: int = 0) -> ImageMatches:
    """One image: (score, right?) of one class, and how many labels it has."""
    ordered = sorted(rows, reverse=True)
    return ImageMatches(
        hits=np.array([[right] * 10 for _, right in ordered], bool).reshape(-1, 10),
        scores=np.array([score for score, _ in ordered], np.float32),
        class_ids=np.full(len(ordered), class_id, np.int64),
        true_ids=np.full(labels, class_id, np.int64),
    )


def chosen(student: ImageMatches, teacher: ImageMatches, **rules: object) -> ClassThreshold:
    rules = {"min_instances": 1, **rules}
    (one,) = match_thresholds([student], [teacher], AT_25, NAMES, Thresholds.model_validate(rules))
    return one


# The teacher at 0.25: four detections, three of them right: precision 0.75.
TEACHER = scored((0.9, True), (0.8, True), (0.5, False), (0.4, True), (0.1, False))


def test_the_lowest_threshold_that_is_as_precise_as_the_teacher() -> None:
    # Down to each score: 1, 1, 2/3, 3/4, 3/5, 3/6. The last that is 0.75 or more is the fourth.
    student = scored(
        (0.7, True), (0.6, True), (0.5, False), (0.3, True), (0.2, False), (0.1, False)
    )

    one = chosen(student, TEACHER)

    assert one.matched == "precision"
    assert one.threshold == pytest.approx((0.3 + 0.2) / 2)
    assert one.student is not None
    assert one.teacher is not None
    assert (one.student.detections, one.student.precision) == (4, 0.75)
    assert (one.teacher.threshold, one.teacher.detections, one.teacher.precision) == (0.25, 4, 0.75)


def test_the_same_number_of_detections() -> None:
    student = scored((0.3, False), (0.2, True), (0.15, True), (0.12, True), (0.06, False))

    one = chosen(student, TEACHER, match="count")

    assert one.matched == "count"
    assert one.threshold == pytest.approx((0.12 + 0.06) / 2)
    assert one.student is not None
    assert one.student.detections == 4


def test_a_student_that_would_fall_silent_gets_as_many_detections() -> None:
    # Only its best detection is as precise as the teacher, which has four.
    student = scored((0.9, True), (0.8, False), (0.7, False), (0.6, False), (0.5, True))

    one = chosen(student, TEACHER)

    assert one.matched == "count"
    assert one.threshold == pytest.approx(0.55)
    assert "as precise as the teacher (0.750) it would give 1 detections to the teacher's 4" in (
        one.note
    )


def test_a_teacher_that_is_never_right_is_matched_by_count() -> None:
    teacher = scored((0.6, False), (0.5, False), labels=40)
    student = scored(*[(0.3 - 0.001 * place, place % 9 == 0) for place in range(280)], labels=40)

    one = chosen(student, teacher)

    assert one.matched == "count"
    assert one.student is not None
    assert one.student.detections == 2
    assert "none of the teacher's 2 detections is right" in one.note


def test_a_precision_that_is_easily_had_floods_no_camera() -> None:
    teacher = scored((0.6, True), *[(0.5, False)] * 19, labels=40)
    student = scored(*[(0.9 - 0.002 * place, place % 10 == 0) for place in range(400)], labels=40)

    one = chosen(student, teacher)

    assert one.matched == "precision"
    assert one.student is not None
    assert one.student.detections == 40
    assert "it would give 400 detections to the teacher's 20: held to 2 times as many" in one.note


@pytest.mark.parametrize(("found", "raised"), [(7, 25), (14, 50), (29, 35)])
def test_a_student_like_its_teacher_loses_nothing_to_rounding(found: int, raised: int) -> None:
    # In floating point 7 / 25 * 25 is more than 7.
    rows = [(0.95 - 0.004 * place, place < found) for place in range(raised)]
    alike = scored(*rows, labels=found)

    one = chosen(alike, alike)

    assert found / raised * raised > found
    assert one.student is not None
    assert (one.student.detections, one.student.found) == (raised, found)


@pytest.mark.parametrize("lower", [0.300029, 0.30002997])
def test_the_threshold_lies_between_scores_however_close(lower: float) -> None:
    student = scored((0.30004, True), (0.30003, True), (lower, False), (0.2, False), labels=5)

    one = chosen(student, scored((0.9, True), (0.8, True), labels=5))

    assert one.student is not None
    assert (one.student.detections, one.student.precision) == (2, 1.0)
    assert np.float32(lower) < np.float32(one.threshold) <= np.float32(0.30003)


def test_what_no_threshold_may_keep_counts_for_nothing() -> None:
    # Down to 0.004 four of five are right, to 0.01 (the lowest threshold) one of two.
    student = scored((0.5, True), (0.4, False), (0.005, True), (0.0045, True), (0.004, True))

    one = chosen(student, scored((0.9, True), (0.8, True), (0.7, True), (0.6, False)))

    assert one.student is not None
    assert (one.matched, one.student.detections, one.threshold) == ("count", 2, 0.2)


def test_equal_scores_stay_together() -> None:
    student = scored((0.7, True), (0.6, True), (0.3, True), (0.3, False), (0.3, False))

    one = chosen(student, TEACHER)

    # With the three at 0.3 the precision is 3/5; without them 2/2.
    assert one.threshold == pytest.approx(0.45)


def test_a_rare_class_takes_the_threshold_of_all_together() -> None:
    cats = scored((0.7, True), (0.6, True), (0.5, True), (0.3, False), labels=20)
    dogs = scored((0.65, False), labels=2, class_id=1)
    teacher = [
        scored((0.9, True), (0.8, True), (0.5, True), (0.4, False), labels=20),
        scored(labels=2, class_id=1),
    ]

    cat, dog = match_thresholds(
        [cats, dogs],
        teacher,
        np.array([0.25, 0.25], np.float32),
        ("cat", "dog"),
        Thresholds(min_instances=20),
    )

    # Cats alone keep 3/4 down to 0.3; with the dog's false alarm, 3/4 down to 0.5.
    assert (cat.threshold, cat.instances) == (pytest.approx(0.15), 20)
    assert (dog.threshold, dog.instances) == (pytest.approx(0.4), 2)
    assert dog.note == "2 labels, fewer than 20: all classes together"


def test_with_too_few_labels_of_all_the_default_stays() -> None:
    one = chosen(TEACHER, TEACHER, min_instances=11, default=0.3)

    assert (one.threshold, one.matched) == (0.3, "default")
    assert "10 labels of all classes, fewer than 11" in one.note


@pytest.mark.parametrize(
    ("student", "teacher", "who"),
    [(TEACHER, scored(), "the teacher"), (scored(), TEACHER, "the student")],
)
def test_who_detects_nothing_is_not_matched(
    student: ImageMatches, teacher: ImageMatches, who: str
) -> None:
    one = chosen(student, teacher)

    assert (one.threshold, one.matched) == (0.25, "default")
    assert one.note == f"{who} detects nothing"


def test_nothing_is_matched_where_the_job_says_so() -> None:
    assert chosen(TEACHER, TEACHER, match="none").matched == "default"
    (kept,) = keep_default(NAMES, Thresholds(default=0.4), "no teacher")
    assert (kept.threshold, kept.note, kept.student) == (0.4, "no teacher", None)


def test_a_student_like_its_teacher_gets_its_detections_back() -> None:
    generator = np.random.default_rng(2)
    scores = generator.random(300)
    right = generator.random(300) < scores  # perfectly calibrated
    teacher = scored(*zip(scores.tolist(), right.tolist(), strict=True), labels=200)
    meek = scored(*zip((scores**2).tolist(), right.tolist(), strict=True), labels=200)

    one = chosen(meek, teacher)

    # Its scores are the teacher's squared, so its threshold is 0.25² or a little below.
    assert one.student is not None
    assert one.teacher is not None
    assert one.threshold == pytest.approx(0.0625, abs=0.01)
    assert one.student.precision == pytest.approx(one.teacher.precision, abs=0.01)
    assert one.student.detections >= one.teacher.detections


def test_recall_and_precision_at_the_thresholds() -> None:
    matches = [TEACHER, scored((0.3, True), (0.2, True), labels=2)]

    operating = Operating.of(matches, AT_25)
    counts = np.array([[1, 1], [2, 0], [0, 2]])

    # First image: 3 right of 4, 10 labels. Second: 1 right of 1, 2 labels.
    assert operating.recall(counts) == pytest.approx([4 / 12, 6 / 20, 2 / 4])
    assert operating.precision(counts) == pytest.approx([4 / 5, 6 / 8, 1.0])
