"""What the report says of changes and rollouts, from what the admin API tells of them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from serving.commands.report_arguments import read_period
from serving.report.gathered import Gathered
from serving.report.rollout_part import rollout_part
from serving.report.route_history import RouteHistory
from serving.report.route_part import route_part
from serving.report.tiles import tiles
from serving.report.traffic import Traffic

AT = "2026-11-20T10:00:00+00:00"
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def revision(number: int, student: float, why: str = "", **others: Any) -> dict[str, Any]:
    arms = [
        {"name": "teacher", "release": "teacher-1.0", "weight": 100 - student},
        {"name": "student", "release": "student-1.0", "weight": student},
    ]
    values = {"name": "default", "arms": arms, "sticky": "camera", "timeout_s": 10.0}
    values |= {"revision": number, "at": AT, "who": "ann", "why": why}
    return values | {"shadow": None, "fallback": None} | others


def gathered(*revisions: dict[str, Any], audit: tuple[str, ...] = ()) -> Gathered:
    return Gathered(
        period=read_period("2026-11-20", "2026-11-21", NOW),
        traffic=Traffic(),
        revisions=revisions,
        rollouts=[],
        audit=[{"action": one, "at": AT} for one in audit],
        audit_complete=True,
    )


def rollout(state: str) -> dict[str, Any]:
    breach = {"guardrail": "errors", "estimate": 0.041, "limit": 0.005, "cameras": 9, "stage": 5}
    breach |= {"p_value": 0.001, "alpha": 0.01, "verdict": "breach"}
    values = {"id": "abcd", "arm": "student", "route": "default", "state": state, "weight": 5}
    values |= {"plan": {"stages": [5, 100]}, "started": AT, "updated": AT, "who": "ann"}
    return values | {"why": "", "note": "", "evidence": [breach]}


BEFORE = (revision(3, 25), revision(4, 100))


@pytest.mark.parametrize(
    ("change", "is_one"),
    [
        (revision(5, 25, "rollback to revision 3"), True),
        (revision(5, 25, "rollback to revision 3: too slow"), True),
        # Of before the period: what it was is not known here.
        (revision(5, 25, "rollback to revision 1"), True),
        (revision(5, 50, "rollback to revision 3 was wrong, forward again"), False),
        (revision(5, 50, "rollback to revision 3: was wrong, forward again"), False),
        (revision(5, 0, "rolls back: errors", who="rollout 0123abcd"), True),
        (revision(5, 0, "rolls back: errors", who="ann"), False),
    ],
)
def test_a_rollback_is_one_by_what_it_did(change: dict[str, Any], is_one: bool) -> None:
    assert RouteHistory(gathered(*BEFORE, change)).is_rollback(change) is is_one


def test_only_a_rollout_that_was_rolled_back_is_said_to_have_been() -> None:
    back, cancelled = (
        rollout_part(rollout(state)).lines[-1] for state in ("rolled_back", "cancelled")
    )

    assert back.startswith("Rolled back for errors: +4.10% seen over 9 cameras")
    assert cancelled.startswith("A guardrail broke, errors: +4.10% seen over 9 cameras")


def test_deployments_and_failures_are_counted_apart() -> None:
    actions = ("release.deploy", "release.failed", "release.deploy", "release.failed")
    period = gathered(audit=actions)

    found = {one.name: one.value for one in tiles(period, RouteHistory(period))}

    assert (found["deployed"], found["failed to deploy"]) == ("2", "2")


@pytest.mark.parametrize(
    ("sticky", "title"),
    [
        ("camera", "Weight, % of the cameras"),
        ("none", "Weight, % of the requests"),
        ("header:x-site", "Weight, % of a header's values"),
    ],
)
def test_weights_are_shares_of_what_the_split_goes_by(sticky: str, title: str) -> None:
    part = route_part(gathered(revision(3, 25, sticky=sticky)), "default", [])

    assert title in [chart.title for chart in part.charts]
