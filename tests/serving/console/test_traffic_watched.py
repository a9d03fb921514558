from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from serving.console.charts import charts, options
from serving.console.overview import overview
from serving.console.traffic import RouteTraffic, Side, Sums
from serving.console.watch import Watch
from serving.histogram import bucket_of
from serving.store.observations import AgreementSums, CameraWindow, Window
from serving.store.store import Store
from serving.store.values import Arm, ReleaseKey, Route, RouteRevision

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
STUDENT = ReleaseKey(model="student", version="1.0")
SIDE = Side("student", "student-1.0")
Kind = Literal["primary", "fallback", "shadow"]


def window(seconds_ago: float, kind: Kind = "primary", **values: Any) -> Window:
    told: dict[str, Any] = {
        "gateway": "gateway-1",
        "start": NOW - timedelta(seconds=seconds_ago),
        "route": "default",
        "revision": 1,
        "arm": "student",
        "release": STUDENT,
        "kind": kind,
        "codes": {"ok": 9, "overloaded": 1, "bad_image": 5},
        "latency": {bucket_of(0.02): 9},
        "cameras": {"gate-1": CameraWindow(frames=15)},
    }
    return Window(**(told | values))


def test_frames_refused_through_the_cameras_own_fault_count_nowhere() -> None:
    traffic = RouteTraffic()
    traffic.add([window(10), window(5)])

    sums = traffic.last(NOW, timedelta(seconds=60))[SIDE]

    assert (sums.frames, sums.errors, sums.error_rate) == (20, 2, 0.1)
    assert sums.quantile_s(0.5) == pytest.approx(0.02, rel=0.03)


def test_the_shadow_tells_agreement_and_nothing_else() -> None:
    traffic = RouteTraffic()
    agreement = AgreementSums(frames=4, f1=3.0)
    traffic.add([window(10, "shadow", agreement=agreement)])

    sums = traffic.last(NOW, timedelta(seconds=60))[SIDE]

    assert (sums.frames, sums.agreement, sums.error_rate) == (0, 0.75, None)
    assert traffic.cameras() == []


def test_a_camera_counts_for_the_side_that_answered_it_last() -> None:
    traffic = RouteTraffic()
    teacher = ReleaseKey(model="teacher", version="1.0")
    traffic.add([window(5), window(10, arm="teacher", release=teacher)])

    assert traffic.cameras_of(NOW, timedelta(seconds=60)) == {SIDE: 1}


def test_what_is_past_is_forgotten() -> None:
    traffic = RouteTraffic()
    traffic.add([window(3700, cameras={"old": CameraWindow(frames=1)}), window(5)])

    traffic.forget(NOW)

    assert traffic.cameras() == ["gate-1"]
    assert len(traffic.series(NOW, timedelta(hours=2), 5.0)[SIDE]) == 1


def test_a_course_adds_up_what_falls_into_one_step() -> None:
    traffic = RouteTraffic()
    traffic.add([window(60), window(55), window(20)])

    points = traffic.series(NOW, timedelta(minutes=5), 20.0)[SIDE]

    assert [(point.at, point.sums.frames) for point in points] == [
        (NOW - timedelta(seconds=60), 20),
        (NOW - timedelta(seconds=20), 10),
    ]


def test_a_chart_has_a_gap_where_nothing_was_seen() -> None:
    traffic = RouteTraffic()
    traffic.add([window(60), window(55), window(5)])
    series = traffic.series(NOW, timedelta(minutes=5), 5.0)

    drawn = options(charts(5.0)[0], series, {SIDE: "#123456"}, start_ms=0.0, end_ms=1.0, step_s=5.0)

    (line,) = drawn["series"]
    assert line["name"] == "student-1.0"
    assert [value for _, value in line["data"]] == [2.0, 2.0, None, 2.0]


def test_an_overview_says_who_answers_whom() -> None:
    traffic = RouteTraffic()
    traffic.add([window(10), window(5)])
    route = Route(arms=(Arm(name="student", release=STUDENT, weight=100),))
    revision = RouteRevision(revision=3, route=route, at=NOW, who="admin", why="")

    seen = overview(revision, traffic, NOW, [], {"torchserve-1": {STUDENT: 2}})

    (arm,) = seen.arms
    assert (arm.cameras, arm.share, arm.ready_workers, arm.state) == (1, 1.0, 2, None)
    assert arm.frames_s == 2.0
    assert seen.glance == "1 of 1 camera is answered by student-1.0."


def test_a_side_that_never_spoke_has_no_figures() -> None:
    assert (Sums().error_rate, Sums().agreement, Sums().quantile_s(0.5)) == (None, None, None)


async def test_the_watch_reads_the_past_and_then_what_is_new_each_once(store: Store) -> None:
    now = await store.now()
    at = [now - timedelta(seconds=seconds) for seconds in (4000, 1800, 30)]
    await store.add_windows([window(0, start=one) for one in at])
    watch = Watch(store, at_most_every_s=0.0)

    first = await watch.traffic("default")
    frames = [sums.frames for sums in first.last(now, timedelta(hours=2)).values()]
    await store.add_windows([window(0, start=now - timedelta(seconds=5))])
    second = await watch.traffic("default")

    # The first is older than the hour that is shown.
    assert frames == [20]
    assert second.last(now, timedelta(hours=2))[SIDE].frames == 30
    assert second.cameras() == ["gate-1"]
