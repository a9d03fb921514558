"""What a rollout's dialog says, and where its stages stand."""

from datetime import UTC, datetime
from typing import Any

import pytest

from serving.console.pages.steering import consequence
from serving.console.plans import sentences, stages
from serving.store.rollouts_values import Evidence, Rollout, RolloutPlan, RolloutState
from serving.store.values import Arm, ReleaseKey, Route, Shadow

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def rollout(
    *, shadow: Shadow | None = None, rate: float | None = None, had: float = 0, **others: Any
) -> Rollout:
    arms = tuple(
        Arm(name=name, release=ReleaseKey(model=name, version="1.0"), weight=weight)
        for name, weight in (("teacher", 100 - had), ("student", had))
    )
    values = {
        "id": "abcd",
        "plan": RolloutPlan(arm="student", shadow_rate=rate),
        "started": NOW,
        "updated": NOW,
        "stage_started": NOW,
        "who": "ann",
        "before": Route(arms=arms, shadow=shadow),
        "revision": 3,
    }
    return Rollout(**(values | others))


def look(stage: float, verdict: str = "pass") -> Evidence:
    return Evidence(
        at=NOW,
        stage=stage,
        guardrail="errors",
        cameras=9,
        estimate=0.0,
        limit=0.005,
        p_value=0.5,
        alpha=0.01,
        verdict=verdict,
    )


def told(one: Rollout) -> list[tuple[str, str]]:
    return [(stage.kind, stage.words) for stage in stages(one)]


def test_stages_that_no_camera_met_are_not_called_held() -> None:
    assert told(rollout(stage=3, evidence=(look(25), look(50)))) == [
        ("skipped", "skipped: too few cameras"),
        ("skipped", "skipped: too few cameras"),
        ("done", "held"),
        ("here", "now"),
        ("", "to come"),
    ]


def test_a_stage_below_what_the_arm_had_is_skipped_for_that() -> None:
    skipped = told(rollout(stage=3, had=10, evidence=(look(50),)))

    assert [words for _, words in skipped[:3]] == [
        *["skipped: no more than it had"] * 2,
        "skipped: too few cameras",
    ]


def test_the_stage_that_broke_a_guardrail_is_shown_as_broken_and_none_as_the_present() -> None:
    back = rollout(
        stage=1, state=RolloutState.ROLLED_BACK, evidence=(look(1), look(5, verdict="breach"))
    )

    assert told(back) == [
        ("done", "held"),
        ("bad", "broke the guardrail for errors"),
        *[("", "never reached")] * 3,
    ]


def test_a_finished_rollout_has_held_its_last_stage_and_a_cancelled_one_has_left_its() -> None:
    seen = (look(1), look(5), look(25), look(50), look(100))

    assert told(rollout(stage=4, state=RolloutState.DONE, evidence=seen)) == [("done", "held")] * 5
    cancelled = told(rollout(stage=0, state=RolloutState.CANCELLED, evidence=seen[:1]))
    assert cancelled == [("", "left before its end"), *[("", "never reached")] * 4]


@pytest.mark.parametrize(
    ("values", "compares"),
    [({}, False), ({"rate": 0.1}, True), ({"shadow": Shadow(arm="student", rate=0.5)}, True)],
)
def test_agreement_is_promised_only_where_frames_are_compared(
    values: dict[str, Any], compares: bool
) -> None:
    said = sentences(rollout(**values), 8, {4: 8})

    assert any("agreement falls below 80.0%" in one for one in said) is compares
    assert any("Nothing is compared" in one for one in said) is not compares


def test_what_a_shadow_costs_is_told() -> None:
    own = sentences(rollout(rate=0.1), 8, {4: 8})
    both = sentences(rollout(rate=0.1, shadow=Shadow(arm="student", rate=0.5)), 8, {4: 8})

    assert any("10% of the other arms' frames are answered by student too" in one for one in own)
    assert any("A shadow of its own is not made." in one for one in both)


def test_steering_says_what_it_does_from_where_the_rollout_is() -> None:
    one = rollout(stage=2)

    assert consequence(one, "pause").startswith("student stays at 25%")
    assert "keeps the weight that it has, 25%" in consequence(one, "cancel")
    assert "student goes from 25% to 0%" in consequence(one, "roll_back")
