"""When a student may stand in for its teacher."""

import pytest

from distill_jobs.errors import GateRefused
from distill_jobs.recipe.release import Gate
from distill_jobs.release.evaluate import Quality
from distill_jobs.release.gate import check_retention

GATE = Gate(min_retention_map50=0.9)


def quality(map50: float, images: int = 10) -> Quality:
    return Quality(map50, map50 / 2, images, 20, ())


def test_enough_is_enough() -> None:
    assert check_retention(quality(0.81), quality(0.9), GATE) == pytest.approx(0.9)


def test_too_little_says_which_rule_and_by_how_much() -> None:
    with pytest.raises(GateRefused) as refused:
        check_retention(quality(0.72), quality(0.9), GATE)

    assert refused.value.rule == "min_retention_map50"
    assert refused.value.measured == pytest.approx(0.8)
    assert refused.value.limit == 0.9
    for part in ("gate.min_retention_map50", "80.0%", "0.720 of 0.900", "90%", "9.0 points short"):
        assert part in refused.value.message


def test_a_teacher_that_finds_nothing_loses_nothing() -> None:
    assert check_retention(quality(0.0), quality(0.0), GATE) == 1.0


def test_other_images_are_not_compared() -> None:
    with pytest.raises(GateRefused, match="different images"):
        check_retention(quality(0.9, images=9), quality(0.9), GATE)
