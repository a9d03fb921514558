"""When a student may stand in for its teacher: each limit, by hand."""

from typing import Any

import numpy as np
import pytest
from test_average_precision import image

from distill_jobs.errors import GateRefused
from distill_jobs.recipe.release import Gate
from distill_jobs.release.bootstrap import draw
from distill_jobs.release.checks import Check
from distill_jobs.release.evidence import Accord, Evidence, Held, Measured, Scores
from distill_jobs.release.gate import check_all, refuse_failed
from distill_jobs.release.matches import ImageMatches
from distill_jobs.release.operating import Operating

IMAGES = 100
NAMES = ("cat", "dog")
THRESHOLDS = np.full(2, 0.25, np.float32)
DRAWN = draw(images=IMAGES, resamples=1000, seed=0)
HELD = Held((), NAMES, DRAWN)


def finder(found: int, *, score: float = 0.9, class_id: int = 0) -> tuple[ImageMatches, ...]:
    """A detector that finds the label of its first `found` images, and nothing else.

    Its AP is `found` / 100 - 0.005: trapezes over 101 recalls lose half a step at the end.
    """
    return tuple(
        image((score, True), labels=1, class_id=class_id)
        if place < found
        else image(labels=1, class_id=class_id)
        for place in range(IMAGES)
    )


def measured(
    matches: tuple[ImageMatches, ...], small: tuple[ImageMatches, ...] | None = None
) -> Measured:
    sizes = {"small": small or matches}
    return Measured(
        matches=matches,
        scores=Scores.of(matches, DRAWN),
        by_size={size: Scores.of(one, DRAWN) for size, one in sizes.items()},
        objects_by_size={size: sum(len(i.true_ids) for i in one) for size, one in sizes.items()},
        images_by_size={size: sum(len(i.true_ids) > 0 for i in one) for size, one in sizes.items()},
        operating=Operating.of(matches, THRESHOLDS),
    )


def judged(evidence: Evidence, rule: str, **limits: Any) -> Check:
    (check,) = [
        one
        for one in check_all(evidence, Gate(**limits))
        if one.rule == rule and one.subject in {"", "cat", "small"}
    ]
    return check


def pair(student: int, teacher: int = 90) -> Evidence:
    return Evidence(held=HELD, student=measured(finder(student)), teacher=measured(finder(teacher)))


def test_enough_is_enough() -> None:
    check = judged(pair(82), "min_retention_map50", min_retention_map50=0.9)

    assert check.measured is not None
    assert check.measured.value == pytest.approx(0.815 / 0.895)
    assert check.verdict == "passed"


def test_too_little_says_which_rule_and_by_how_much() -> None:
    check = judged(pair(72), "min_retention_map50", min_retention_map50=0.9)

    assert check.verdict == "refused"
    assert check.shortfall == pytest.approx(0.9 - 0.715 / 0.895)
    assert check.complaint == (
        "gate.min_retention_map50: mAP50 over the teacher's is 79.9% (0.715 of 0.895); "
        "the gate asks for at least 90.0%: 10.1 points short"
    )


@pytest.mark.parametrize(
    ("rule", "limit", "unit"),
    [
        ("min_retention_map50_95", 0.85, "5.1 points short"),
        ("min_class_retention_map50", 0.85, "(cat)"),
        ("min_size_retention_map50_95", 0.85, "(small)"),
        ("min_recall_retention", 0.85, "0.720 of 0.900"),
    ],
)
def test_each_share_of_the_teachers_is_held_to_its_limit(
    rule: str, limit: float, unit: str
) -> None:
    refused = judged(pair(72), rule, **{rule: limit})
    passed = judged(pair(72), rule, **{rule: 0.75})
    reported = judged(pair(72), rule)

    assert (refused.verdict, passed.verdict, reported.verdict) == ("refused", "passed", "reported")
    assert unit in refused.complaint


def test_the_bound_is_held_against_the_limit_where_a_confidence_is_set() -> None:
    point = judged(pair(83), "min_retention_map50", min_retention_map50=0.9)
    bound = judged(pair(83), "min_retention_map50", min_retention_map50=0.9, confidence=0.95)

    # 7 of 90 are lost, the same images for both: 83/90 = 0.922, and with 95% confidence
    # 1 - 7/90 - 1.645 · sqrt(7/90 · 83/90 / 90) = 0.876 of what the teacher finds.
    assert point.verdict == "passed"
    assert bound.verdict == "refused"
    assert bound.judged_by == pytest.approx(0.876, abs=0.01)
    assert "lower 95% bound; 92.2% measured" in bound.complaint


def test_a_pair_is_surer_than_either_alone() -> None:
    check = judged(pair(83), "min_retention_map50", confidence=0.95)

    assert check.measured is not None
    alone = np.quantile(measured(finder(83)).scores.drawn.map50, [0.05, 0.95])
    assert check.measured.high - check.measured.low < 0.8 * (alone[1] - alone[0])


def test_too_few_objects_are_not_judged_and_that_is_said() -> None:
    limits = {"min_class_retention_map50": 0.99, "min_size_retention_map50_95": 0.99}
    checks = check_all(pair(50), Gate(min_instances=101, min_retention_map50=0.0, **limits))

    few = [one for one in checks if one.subject]
    assert [one.line.partition(": ")[2] for one in few] == [
        "not judged: fewer than 101 objects",
        "not judged: fewer than 101 objects, namely none",
        "not judged: fewer than 101 objects",
    ]
    assert few[1].name == "min_class_retention_map50 (dog)"
    refuse_failed(checks)


def test_one_lost_class_is_seen_behind_a_good_mean() -> None:
    cats, dogs = finder(IMAGES), finder(40, class_id=1)
    student = Evidence(
        held=Held((), NAMES, draw(images=200, resamples=200, seed=0)),
        student=_both(cats + dogs),
        teacher=_both(cats + finder(80, class_id=1)),
    )

    checks = check_all(student, Gate(min_retention_map50=0.7, min_class_retention_map50=0.7))

    refused = [one for one in checks if one.verdict == "refused"]
    assert [(one.rule, one.subject) for one in refused] == [("min_class_retention_map50", "dog")]
    assert refused[0].judged_by == pytest.approx(0.395 / 0.795)


def _both(matches: tuple[ImageMatches, ...]) -> Measured:
    scores = Scores.of(matches, draw(images=200, resamples=200, seed=0))
    return Measured(matches, scores, {}, {}, {}, Operating.of(matches, THRESHOLDS))


def test_recall_counts_what_cameras_hear_of() -> None:
    quiet = measured(finder(90, score=0.2))
    evidence = Evidence(held=HELD, student=quiet, teacher=measured(finder(90)))

    recall = judged(evidence, "min_recall_retention", min_recall_retention=0.5)
    retention = judged(evidence, "min_retention_map50")

    assert (recall.verdict, recall.judged_by) == ("refused", 0.0)
    assert retention.verdict == "passed"


def test_precision_counts_what_they_need_not_have_heard_of() -> None:
    noisy = tuple(
        image((0.9, True), (0.6, False), labels=1) if place < 90 else image(labels=1)
        for place in range(IMAGES)
    )
    evidence = Evidence(held=HELD, student=measured(noisy), teacher=measured(finder(90)))

    flood = judged(evidence, "min_precision_retention", min_precision_retention=0.6)
    recall = judged(evidence, "min_recall_retention", min_recall_retention=1.0)

    assert (flood.verdict, flood.judged_by) == ("refused", 0.5)
    assert "0.500 of 1.000" in flood.complaint
    assert recall.verdict == "passed"


def test_a_live_model_is_not_to_be_lost_against() -> None:
    evidence = Evidence(held=HELD, student=measured(finder(80)), live=measured(finder(84)))

    refused = judged(evidence, "max_live_drop_map50_95")
    passed = judged(evidence, "max_live_drop_map50_95", max_live_drop_map50_95=0.041)
    unsure = judged(
        evidence, "max_live_drop_map50_95", max_live_drop_map50_95=0.041, confidence=0.9
    )

    assert refused.verdict == "refused"
    assert "is 4.00 points (0.795, live 0.835)" in refused.complaint
    assert "at most 1.00 points: 3.00 points too much" in refused.complaint
    assert (passed.verdict, unsure.verdict) == ("passed", "refused")


def accord(pairs: int, alone: int) -> Accord:
    drawn = np.random.default_rng(0).normal(2 * pairs / (2 * pairs + alone), 0.02, 1000)
    return Accord(100, 100, pairs + alone // 2, 2 * pairs / (2 * pairs + alone), drawn)


def test_without_labels_the_lower_bound_of_the_agreement_decides() -> None:
    check = judged(Evidence(accord=accord(80, 40)), "min_agreement_f1", min_agreement_f1=0.79)

    # F1 = 160 / 200 = 0.8, lower bound 0.8 - 1.645 · 0.02 = 0.767: refused although no confidence
    # is asked for.
    assert check.measured is not None
    assert check.measured.value == pytest.approx(0.8)
    assert check.judged_by == pytest.approx(0.767, abs=0.005)
    assert check.verdict == "refused"
    assert "lower 95% bound" in check.complaint


def test_without_labels_the_live_model_agrees_no_better() -> None:
    evidence = Evidence(accord=accord(80, 40), live_accord=accord(90, 20))

    check = judged(evidence, "max_live_drop_f1")

    assert check.judged_by == pytest.approx(0.1)
    assert check.verdict == "refused"


def test_files_and_times_are_held_to_their_limits() -> None:
    evidence = Evidence(
        file_bytes=3_000_000, teacher_file_bytes=4_000_000, latency_ratios=np.full(40, 0.6)
    )
    limits = {"max_file_mb": 2.5, "max_size_ratio": 0.5, "max_latency_ratio": 0.5}

    with pytest.raises(GateRefused) as refused:
        refuse_failed(check_all(evidence, Gate(**limits)))

    complaints = {one.rule: one.complaint for one in refused.value.failures}
    assert complaints.keys() == limits.keys()
    assert (
        "3.00 MB; the gate asks for at most 2.50 MB: 0.50 MB too much"
        in (complaints["max_file_mb"])
    )
    assert "0.750 (3,000,000 of 4,000,000)" in complaints["max_size_ratio"]
    assert "0.600 (median of 40 turns)" in complaints["max_latency_ratio"]
    assert all(text in refused.value.message for text in complaints.values())


def test_latency_is_as_sure_as_its_turns() -> None:
    spread = np.random.default_rng(1).normal(0.5, 0.1, 40)
    evidence = Evidence(latency_ratios=spread)

    check = judged(evidence, "max_latency_ratio", max_latency_ratio=0.5, confidence=0.95)

    assert check.measured is not None
    assert check.measured.low < float(np.median(spread)) < check.measured.high
    # The median's standard error is 1.25 · 0.1 / sqrt(40) = 0.02.
    assert check.measured.high - check.measured.value == pytest.approx(0.033, abs=0.025)


def test_turns_are_no_images_that_a_bound_needs() -> None:
    evidence = Evidence(latency_ratios=np.full(40, 0.5))

    check = judged(
        evidence, "max_latency_ratio", max_latency_ratio=0.9, confidence=0.95, min_images=50
    )

    assert (check.verdict, check.judged_by) == ("passed", 0.5)


def test_nothing_to_judge_refuses_nothing() -> None:
    assert check_all(Evidence(), Gate()) == ()
