from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from prometheus_client import CollectorRegistry, generate_latest

from serving.metrics.controller.rollout_series import RolloutSeries
from serving.store.rollouts_values import Evidence, Rollout, RolloutPlan, RolloutState
from serving.store.values import Arm, ReleaseKey, Route

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TEACHER, STUDENT = (ReleaseKey(model=one, version="1.0") for one in ("teacher", "student"))
ROUTE = Route(
    arms=(
        Arm(name="main", release=TEACHER, weight=100),
        Arm(name="new", release=STUDENT, weight=0),
    )
)
LABELS = {"route": "default", "arm": "new", "model": "student", "version": "1.0"}


def look(minutes: int, estimate: float, verdict: Literal["pass", "breach"]) -> Evidence:
    return Evidence(
        at=NOW + timedelta(minutes=minutes),
        stage=5,
        guardrail="agreement",
        cameras=12,
        estimate=estimate,
        limit=0.8,
        p_value=0.001,
        alpha=0.01,
        verdict=verdict,
    )


def rollout(identity: str = "a", **values: Any) -> Rollout:
    return Rollout(
        id=identity,
        plan=RolloutPlan(arm="new"),
        started=NOW,
        updated=NOW,
        stage_started=NOW,
        who="test",
        before=ROUTE,
        revision=1,
        **({"stage": 1} | values),
    )


def test_the_newest_look_at_a_guardrail_is_shown() -> None:
    registry = CollectorRegistry()
    evidence = (look(1, 0.95, "pass"), look(2, 0.4, "breach"))

    RolloutSeries(registry).show(
        [rollout(state=RolloutState.ROLLED_BACK, evidence=evidence)], {STUDENT}
    )

    def value(name: str) -> float | None:
        labels = LABELS | {"guardrail": "agreement"}
        return registry.get_sample_value(f"understudy_guardrail_{name}", labels)

    names = ("breached", "estimate", "limit", "p_value", "cameras")
    assert [value(name) for name in names] == [1, 0.4, 0.8, 0.001, 12]


def test_a_route_shows_its_newest_rollout_and_where_that_stands() -> None:
    registry = CollectorRegistry()
    rollouts = [rollout("b"), rollout("a", state=RolloutState.CANCELLED, stage=4)]

    RolloutSeries(registry).show(rollouts, {STUDENT})

    value = registry.get_sample_value
    state = "understudy_rollout_state"
    assert value(state, LABELS | {"state": "running"}) == 1
    assert value(state, LABELS | {"state": "cancelled"}) == 0
    assert value("understudy_rollout_stage_ratio", LABELS) == 0.05
    updated = "understudy_rollout_updated_timestamp_seconds"
    assert value(updated, LABELS) == NOW.timestamp()


def test_a_rollout_of_a_release_that_is_retired_has_no_series() -> None:
    registry = CollectorRegistry()
    series = RolloutSeries(registry)
    series.show([rollout(evidence=(look(1, 0.9, "pass"),))], {STUDENT})

    series.show([rollout()], {TEACHER})

    assert "student" not in generate_latest(registry).decode()
