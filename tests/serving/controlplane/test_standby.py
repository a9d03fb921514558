"""Which releases stay loaded: the rule alone."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from serving.controlplane.releases import ARROWS, LOADED
from serving.controlplane.rollback import target
from serving.controlplane.standby import settle
from serving.errors import NothingToRollBackTo
from serving.store.values import (
    Arm,
    Release,
    ReleaseKey,
    ReleaseState,
    Route,
    RouteRevision,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def release(text: str, state: str) -> Release:
    return Release(
        key=ReleaseKey.parse(text),
        sha256=text,
        role="student",
        class_names=("cell",),
        operating_thresholds=(0.25,),
        quality_measured=True,
        state=ReleaseState(state),
        created=NOW,
        updated=NOW,
    )


def route(*releases: str, name: str = "default", first: float = 100.0) -> Route:
    weights = [first, 100.0 - first] + [0.0] * len(releases)
    arms = tuple(
        Arm(name=f"arm{i}", release=ReleaseKey.parse(text), weight=weights[i])
        for i, text in enumerate(releases)
    )
    return Route(name=name, arms=arms)


def history(*routes: Route) -> list[RouteRevision]:
    """Return revisions, newest first, of routes given oldest first."""
    revisions = [
        RouteRevision(revision=i, route=one, at=NOW, who="ann", why="")
        for i, one in enumerate(routes, start=1)
    ]
    return revisions[::-1]


def moves(histories: Sequence[list[RouteRevision]], **states: str) -> dict[str, str]:
    present = [revisions[0].route for revisions in histories]
    by_name = {revisions[0].route.name: revisions for revisions in histories}
    known = [release(text.replace("_", "-").replace("v", ""), s) for text, s in states.items()]
    return {str(k): v.value for k, v in settle(present, by_name, known).items()}


def test_what_a_route_names_is_live_at_any_weight() -> None:
    split = history(route("t-1", "s-1", first=100))
    assert moves([split], t_v1="ready", s_v1="ready") == {"t-1": "live", "s-1": "live"}


def test_what_no_route_has_named_stays_ready() -> None:
    assert moves([history(route("t-1"))], t_v1="live", s_v1="ready") == {}


def test_the_last_version_becomes_standby_and_the_one_before_drains() -> None:
    known = history(route("s-1"), route("s-2"), route("s-3"))
    assert moves([known], s_v1="standby", s_v2="live", s_v3="ready") == {
        "s-1": "draining",
        "s-2": "standby",
        "s-3": "live",
    }


def test_each_model_has_its_own_standby() -> None:
    known = history(route("t-1", "s-1"), route("s-2"))
    assert moves([known], t_v1="live", s_v1="live", s_v2="ready") == {
        "t-1": "standby",
        "s-1": "standby",
        "s-2": "live",
    }


def test_two_versions_that_left_together_both_wait() -> None:
    known = history(route("s-1", "s-2", first=50), route("s-3"))
    assert moves([known], s_v1="live", s_v2="live", s_v3="ready") == {
        "s-1": "standby",
        "s-2": "standby",
        "s-3": "live",
    }


def test_after_a_rollback_the_one_that_failed_waits() -> None:
    known = history(route("s-1"), route("s-2"), route("s-1"))
    assert moves([known], s_v1="standby", s_v2="live") == {"s-1": "live", "s-2": "standby"}


def test_another_route_keeps_a_release_live() -> None:
    day = history(route("s-1"), route("s-2"), route("s-3"))
    night = history(route("s-1", name="night"))
    assert moves([day, night], s_v1="live", s_v2="live", s_v3="ready") == {
        "s-2": "standby",
        "s-3": "live",
    }


def test_a_standby_outlives_any_number_of_changes_of_weight() -> None:
    tweaks = [route("t-1", "s-2", first=float(i % 100)) for i in range(300)]
    known = history(route("t-1", "s-1"), *tweaks)[:200]
    assert moves([known], t_v1="live", s_v1="standby", s_v2="live") == {}


def test_settling_twice_moves_nothing_more() -> None:
    known = history(route("s-1"), route("s-2"))
    assert moves([known], s_v1="standby", s_v2="live") == {}


def test_every_move_of_the_rule_is_an_arrow() -> None:
    known = history(route("s-1"), route("s-2"), route("s-3"))
    for before in LOADED:
        releases = [release(f"s-{i}", before) for i in (1, 2, 3)]
        for key, to in settle([known[0].route], {"default": known}, releases).items():
            assert to in ARROWS[before], key


def states(**given: str) -> dict[ReleaseKey, ReleaseState]:
    return {
        ReleaseKey.parse(text.replace("_", "-").replace("v", "")): ReleaseState(state)
        for text, state in given.items()
    }


def test_a_rollback_goes_to_the_newest_that_differs() -> None:
    known = history(route("s-1"), route("s-2"), route("s-2"))
    assert target(known, states(s_v1="standby", s_v2="live")).revision == 1


def test_a_rollback_of_a_weight_is_one_too() -> None:
    known = history(route("t-1", "s-1", first=90), route("t-1", "s-1", first=50))
    assert target(known, states(t_v1="live", s_v1="live")).revision == 1


def test_a_rollback_passes_over_what_is_not_loaded() -> None:
    known = history(route("s-1"), route("s-2"), route("s-3"))
    assert target(known, states(s_v1="standby", s_v2="retired", s_v3="live")).revision == 1
    with pytest.raises(NothingToRollBackTo, match=r"revision 2 needs s-2, no longer loaded"):
        target(known, states(s_v1="retired", s_v2="retired", s_v3="live"))
    with pytest.raises(NothingToRollBackTo, match=r"revision 2 needs s-2"):
        target(known, states(s_v1="standby", s_v2="retired", s_v3="live"), revision=2)


def test_a_first_route_has_nothing_to_go_back_to() -> None:
    with pytest.raises(NothingToRollBackTo, match="no earlier, different revision"):
        target(history(route("s-1")), states(s_v1="live"))
    with pytest.raises(NothingToRollBackTo, match="no revision 7"):
        target(history(route("s-1")), states(s_v1="live"), revision=7)
