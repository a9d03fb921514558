"""The deployment in a line, and each camera with who answers it."""

from datetime import timedelta
from typing import Any

import pytest
from routes_seen import NOW, TEACHER, at_work, deployment, glance, seen_at

from serving.console.cameras_now import cameras_now
from serving.console.deployment_now import deployment_now
from serving.store.observations import Camera
from serving.store.values import GatewayStatus, Lease, ReleaseKey

STUDENT = ReleaseKey(model="student", version="1.0")


def gateway(name: str, seconds_ago: float = 1, revision: int = 0) -> GatewayStatus:
    beat = seen_at(seconds_ago)
    return GatewayStatus(
        id=name, started=NOW, heartbeat=beat, beat=1, revision=revision, in_flight={}
    )


def told(*, leads: bool = True, **others: Any) -> dict[str, tuple[str, bool]]:
    values = {"gateways": (gateway("g1"),), "placements": {"b1": {STUDENT: 2}}}
    seen = deployment(**(values | others))
    return {
        one.name: (one.words, one.is_well)
        for one in deployment_now(seen, ["b1", "b2"][: 1 + ("b2" in others)], leads=leads)
    }


def test_where_all_is_well_nobody_need_look() -> None:
    assert told() == {
        "Controller": ("this one leads", True),
        "Gateways": ("1 heard", True),
        "Backends": ("1 with 2 ready workers", True),
    }


def test_a_gateway_that_is_silent_or_behind_is_named() -> None:
    words, is_well = told(gateways=(gateway("g1"), gateway("g2", seconds_ago=30)))["Gateways"]
    behind = told(gateways=(gateway("g1", revision=-1),))["Gateways"]

    assert (words, is_well) == ("1 heard; g2 silent", False)
    assert behind == ("1 heard; g1 not yet at the newest revision", False)
    assert told(gateways=())["Gateways"] == ("0 heard", False)


def test_a_backend_without_workers_is_named() -> None:
    seen = deployment(placements={"b1": {STUDENT: 1}})

    _, _, backends = deployment_now(seen, ["b1", "b2"], leads=True)

    assert (backends.words, backends.is_well) == ("1 with 1 ready worker; b2 with none", False)


@pytest.mark.parametrize(
    ("lease", "words"),
    [
        (None, "none leads now: nothing can be changed"),
        (("c2", -1.0), "none leads now: nothing can be changed"),
        (("c2", 5.0), "c2 leads, not this one: change things there"),
    ],
)
def test_a_controller_that_does_not_lead_says_who_does(
    lease: tuple[str, float] | None, words: str
) -> None:
    found = lease and Lease(holder=lease[0], epoch=1, expires=NOW + timedelta(seconds=lease[1]))

    assert told(leads=False, lease=found)["Controller"] == (words, False)


def test_cameras_that_need_somebody_stand_first() -> None:
    traffic = at_work(
        glance(10, TEACHER, cameras={"gate-10": 3, "gate-2": 3}),
        glance(10, codes={"worker_died": 3}, cameras={"gate-3": 0}),
    )
    known = [
        Camera(id="gate-2", group="north", last_seen=seen_at(10)),
        Camera(id="gate-4", expected_fps=1, last_seen=seen_at(3600)),
        Camera(id="gate-5", last_seen=seen_at(7200)),
    ]

    found = cameras_now(known, {"default": traffic}, NOW)

    assert [(one.id, one.health.value, one.release) for one in found] == [
        ("gate-3", "no answer", ""),
        ("gate-4", "silent", ""),
        ("gate-2", "answered", "teacher-1.0"),
        ("gate-10", "answered", "teacher-1.0"),
        ("gate-5", "quiet", ""),
    ]
    assert [one.id for one in found if one.holds(["NORTH".lower(), "teacher"])] == ["gate-2"]


def test_a_camera_of_two_routes_is_told_once_as_it_is_by_now() -> None:
    old, new = at_work(glance(60)), at_work(glance(10, TEACHER))

    (one,) = cameras_now([], {"default": old, "night": new}, NOW)

    assert (one.route, one.release, one.last_seen) == ("night", "teacher-1.0", seen_at(10))
