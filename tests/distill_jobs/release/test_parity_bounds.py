"""A reduced precision held to its limits by the figure, and by its bound."""

import numpy as np
import pytest
from test_average_precision import image
from test_release_evaluate import LEFT_BOX, NOWHERE, found

from distill_jobs.recipe.release import Gate
from distill_jobs.release.evaluate import quality_of
from distill_jobs.release.parity import Answers, judge
from handlers.pipeline import Detections

IMAGES, LOST = 100, 2
THRESHOLDS = np.full(2, 0.25, np.float32)


def answers(lost: int) -> Answers:
    """One box an image; of the first `lost` images it lies elsewhere."""
    seen = found((*LEFT_BOX, 0.9, 0))
    astray = found((*NOWHERE, 0.9, 0))
    detections: list[Detections] = [astray] * lost + [seen] * (IMAGES - lost)
    matches = tuple(image((0.9, place >= lost), labels=1) for place in range(IMAGES))
    return Answers(tuple(detections), quality_of(matches, ("cat", "dog")), matches)


def reason(**limits: float) -> str:
    gate = Gate(**{"max_int8_drop_map50_95": 1.0, "min_matched_f1": 0.0, **limits})
    return judge("int8", answers(0), answers(LOST), THRESHOLDS, gate).reason


def test_what_is_lost_has_bounds() -> None:
    verdict = judge("int8", answers(0), answers(LOST), THRESHOLDS, Gate())

    assert verdict.drop is not None
    # Two of 100 images: F1 98/100, and the precision falls with the recall: about 4 points.
    assert verdict.matched.f1 == pytest.approx(0.98)
    assert verdict.drop.low < verdict.drop.value < verdict.drop.high
    # Lost images are binomial: 0.98 - 1.645 · sqrt(0.02 · 0.98 / 100) = 0.957.
    assert verdict.f1.low == pytest.approx(0.957, abs=0.008)


def test_the_figure_decides_without_a_confidence() -> None:
    assert reason(min_matched_f1=0.97) == ""
    assert reason(max_int8_drop_map50_95=0.05) == ""
    assert "matched F1 0.9800 is below gate.min_matched_f1 0.99" in reason(min_matched_f1=0.99)


def test_the_bound_decides_with_one() -> None:
    refused = reason(min_matched_f1=0.97, confidence=0.95)

    assert refused.startswith("matched F1 0.9")
    assert "with 95% confidence is below gate.min_matched_f1 0.97" in refused
    assert "points with 95% confidence, more than" in reason(
        max_int8_drop_map50_95=0.05, confidence=0.95
    )


def test_the_same_answers_lose_nothing_for_sure() -> None:
    strict = Gate(max_int8_drop_map50_95=0.0, min_matched_f1=1.0, confidence=0.99)

    verdict = judge("int8", answers(LOST), answers(LOST), THRESHOLDS, strict)

    assert verdict.passed
    assert verdict.drop is not None
    assert (verdict.drop.low, verdict.drop.high) == (0.0, 0.0)
