"""Windows as the console reads them, and the deployment that they are of."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from serving.console.snapshot import Snapshot
from serving.console.traffic import RouteTraffic
from serving.store.desired import Desired
from serving.store.glances import Glance
from serving.store.histogram import bucket_of
from serving.store.side_sums import Side
from serving.store.values import Arm, ReleaseKey, Route, RouteRevision

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
STUDENT = Side("default", "student", "student-1.0")
TEACHER = Side("default", "teacher", "teacher-1.0")


def seen_at(seconds_ago: float) -> datetime:
    """Return a time before now."""
    return NOW - timedelta(seconds=seconds_ago)


def glance(seconds_ago: float, side: Side = STUDENT, **values: Any) -> Glance:
    """Return a window of nine answers, a failure, and five frames that were no images."""
    told: dict[str, Any] = {
        "start": seen_at(seconds_ago),
        "arm": side.arm,
        "release": side.release,
        "kind": "primary",
        "codes": {"ok": 9, "overloaded": 1, "bad_image": 5},
        "latency": {bucket_of(0.02): 9},
        "agreement": None,
        "cameras": {"gate-1": 9},
    }
    return Glance(**(told | values))


def at_work(*windows: Glance) -> RouteTraffic:
    """Return the default route's traffic."""
    traffic = RouteTraffic("default")
    for one in windows:
        traffic.add(one)
    return traffic


def route_of(**weights: float) -> RouteRevision:
    """Return the default route: "student_2" is the arm student with release student-2."""
    arms = tuple(
        Arm(name=name.partition("_")[0], release=_key(name), weight=weight)
        for name, weight in weights.items()
    )
    return RouteRevision(revision=3, route=Route(arms=arms), at=NOW, who="admin", why="")


def deployment(
    *, placements: Mapping[str, Mapping[ReleaseKey, int]] | None = None, **others: Any
) -> Snapshot:
    """Return a deployment in which nothing else happens."""
    desired = Desired(generation=1, routes={}, releases=(), placements=placements or {})
    values = {"now": NOW, "desired": desired, "rollouts": {}, "gateways": (), "lease": None}
    return Snapshot(**(values | others))


def _key(name: str) -> ReleaseKey:
    model, _, version = name.partition("_")
    return ReleaseKey(model=model, version=f"{version or 1}.0")
