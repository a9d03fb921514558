from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from routes_seen import NOW, STUDENT, TEACHER, at_work, glance, seen_at

from serving.console.charts import CHARTS, COLOURS, options
from serving.console.traffic import LATELY, RouteTraffic, Seen, step_for, told_until
from serving.console.watch import Watch
from serving.store.observations import AgreementSums, CameraWindow, Window
from serving.store.side_sums import Side, Sums
from serving.store.store import Store

HOUR = timedelta(hours=1)


def test_frames_refused_through_the_cameras_own_fault_count_nowhere() -> None:
    traffic = at_work(glance(15), glance(10))

    sums = traffic.lately(NOW).sums[STUDENT]

    assert (sums.frames, sums.errors, sums.error_rate) == (20, 2, 0.1)
    assert sums.quantile_s(0.5) == pytest.approx(0.02, rel=0.03)


def test_the_shadow_tells_agreement_and_nothing_else() -> None:
    agreement = {"frames": 4, "f1": 3.0}
    traffic = at_work(glance(10, kind="shadow", agreement=agreement, cameras={}))

    sums = traffic.lately(NOW).sums[STUDENT]

    assert (sums.frames, sums.agreement, sums.error_rate) == (0, 0.75, None)
    assert traffic.cameras() == []


@pytest.mark.parametrize("turned", [False, True])
def test_a_camera_is_answered_by_the_last_that_did(turned: bool) -> None:
    rows = [glance(10, TEACHER, cameras={"gate-1": 4}), glance(5, cameras={"gate-1": 4})]

    traffic = at_work(*(reversed(rows) if turned else rows))

    assert traffic.cameras_lately(NOW) == {STUDENT: 1}


@pytest.mark.parametrize("turned", [False, True])
def test_who_stood_in_answers_a_camera_whatever_comes_first(turned: bool) -> None:
    rows = [
        glance(10, codes={"worker_died": 9}, cameras={"gate-1": 0}),
        glance(10, TEACHER, kind="fallback", codes={"ok": 9}, cameras={"gate-1": 9}),
    ]

    traffic = at_work(*(reversed(rows) if turned else rows))

    assert traffic.cameras_lately(NOW) == {TEACHER: 1}


def test_of_one_window_the_one_that_answered_more_counts_and_then_the_splits_arm() -> None:
    more = at_work(
        glance(10, cameras={"gate-1": 1}),
        glance(10, TEACHER, kind="fallback", cameras={"gate-1": 2}),
    )
    as_many = at_work(
        glance(10, TEACHER, kind="fallback", cameras={"gate-1": 2}),
        glance(10, cameras={"gate-1": 2}),
    )

    assert more.cameras_lately(NOW) == {TEACHER: 1}
    assert as_many.cameras_lately(NOW) == {STUDENT: 1}


def test_a_camera_whose_newest_frames_all_failed_is_answered_by_nobody() -> None:
    traffic = at_work(
        glance(20, cameras={"gate-1": 5}),
        glance(10, codes={"worker_died": 5}, cameras={"gate-1": 0}),
    )

    assert traffic.cameras_lately(NOW) == {None: 1}
    assert traffic.seen() == {"gate-1": Seen(seen_at(10), STUDENT, answered=False)}


def test_what_is_past_is_forgotten() -> None:
    traffic = at_work(glance(3700, cameras={"old": 1}), glance(10))

    traffic.forget(NOW)

    assert traffic.cameras() == ["gate-1"]
    assert len(traffic.series(NOW, 2 * HOUR, 5.0)[STUDENT]) == 1


def test_a_rate_is_of_the_whole_minute_however_few_windows_there_are() -> None:
    one = at_work(glance(600), glance(30, codes={"ok": 1}))
    stopped = at_work(*(glance(600 - 5 * n) for n in range(111)))

    assert one.lately(NOW).seconds == 60
    assert one.lately(NOW).sums[STUDENT].frames == 1
    assert told_until(NOW) == seen_at(5)
    # Four of the minute's twelve windows.
    assert stopped.lately(NOW).sums[STUDENT].frames == 4 * 10


def test_a_route_that_has_just_begun_is_not_divided_by_a_minute() -> None:
    traffic = at_work(glance(15), glance(10), glance(5))

    # What began five seconds ago may not be written by every gateway.
    assert traffic.lately(NOW).seconds == 10
    assert traffic.lately(NOW).sums[STUDENT].frames == 20


def test_a_steady_rate_is_a_level_line_up_to_its_end() -> None:
    begin = datetime(2026, 11, 22, 11, 0, tzinfo=UTC)
    traffic = RouteTraffic("default")
    for place in range(730):
        traffic.add(glance(0, start=begin + timedelta(seconds=5 * place), codes={"ok": 10}))

    for late_s in (1.5, 6.0, 8.0, 13.0, 20.9):
        now = begin + HOUR + timedelta(seconds=late_s)
        series = traffic.series(now, HOUR, 20.0)
        drawn = options(CHARTS[0], series, {}, end=now, span=HOUR, step_s=20.0)
        (line,) = drawn["series"]
        assert {value for _, value in line["data"] if value is not None} == {2.0}, late_s


def test_a_course_adds_up_what_falls_into_one_step() -> None:
    traffic = at_work(glance(60), glance(55), glance(20))

    points = traffic.series(NOW, timedelta(minutes=5), 20.0)[STUDENT]

    assert [(point.at, point.sums.frames) for point in points] == [
        (seen_at(60), 20),
        (seen_at(20), 10),
    ]


def test_a_course_is_worked_out_once_until_there_is_something_new() -> None:
    traffic = at_work(glance(60))
    first = traffic.series(NOW, HOUR, 20.0)

    assert traffic.series(NOW + timedelta(seconds=0.5), HOUR, 20.0) is first
    traffic.add(glance(55))
    assert traffic.series(NOW, HOUR, 20.0) is not first


def test_a_chart_has_a_gap_where_nothing_was_seen() -> None:
    codes = {"ok": 10}
    traffic = at_work(glance(60, codes=codes), glance(55, codes=codes), glance(10, codes=codes))
    series = traffic.series(NOW, timedelta(minutes=5), 5.0)

    drawn = options(CHARTS[0], series, {STUDENT: "#123456"}, end=NOW, span=LATELY, step_s=5.0)

    (line,) = drawn["series"]
    assert line["name"] == "student-1.0"
    assert [value for _, value in line["data"]] == [2.0, 2.0, None, 2.0]


def test_steps_are_whole_windows() -> None:
    assert [step_for(timedelta(minutes=n), 180) for n in (5, 15, 60)] == [5.0, 5.0, 20.0]


@pytest.mark.parametrize("card", ["#ffffff", "#181c22"])
def test_each_colour_stands_out_from_its_card(card: str) -> None:
    for colour in COLOURS:
        lighter, darker = sorted((_light(colour), _light(card)), reverse=True)
        # WCAG 2.1, 1.4.11.
        assert (lighter + 0.05) / (darker + 0.05) >= 3, colour


def _light(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return sum(share * one for share, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_side_that_never_spoke_has_no_figures() -> None:
    assert (Sums().error_rate, Sums().agreement, Sums().quantile_s(0.5)) == (None, None, None)


async def test_the_watch_reads_the_past_and_then_what_is_new_each_once(store: Store) -> None:
    now = await store.now()
    ago = (4000, 1800, 600, 30)
    await store.add_windows([_window(now, seconds, f"gate-{seconds}") for seconds in ago])
    watch = Watch(store, at_most_every_s=0.0)

    first = await watch.traffic("default")
    once = _frames(first, now)
    await store.add_windows([_window(now, 10, "gate-10")])
    second = await watch.traffic("default")

    # The first is older than the hour that is shown, the second than cameras' quarter of one.
    assert (once, _frames(second, now)) == (30, 40)
    assert second.cameras() == ["gate-10", "gate-30", "gate-600"]
    assert second.seen()["gate-30"].side == Side("default", "student", "student-1.0")


async def test_a_camera_that_was_only_compared_is_not_seen(store: Store) -> None:
    now = await store.now()
    agreement = AgreementSums(frames=2, f1=1.0, matched=1, iou=0.9)
    await store.add_windows([_window(now, 20, "gate-1", kind="shadow", agreement=agreement)])

    traffic = await Watch(store).traffic("default")

    assert traffic.cameras() == []
    assert traffic.lately(now).sums[STUDENT].agreement == 0.5


def _frames(traffic: RouteTraffic, now: datetime) -> int:
    return sum(point.sums.frames for point in traffic.series(now, 2 * HOUR, 3600.0)[STUDENT])


def _window(now: datetime, seconds_ago: float, camera: str, **values: Any) -> Window:
    told: dict[str, Any] = {
        "gateway": "gateway-1",
        "start": now - timedelta(seconds=seconds_ago),
        "route": "default",
        "revision": 1,
        "arm": "student",
        "release": {"model": "student", "version": "1.0"},
        "kind": "primary",
        "codes": {"ok": 9, "overloaded": 1, "bad_image": 5},
        "cameras": {camera: CameraWindow(frames=15, latency={100: 9})},
    }
    return Window(**(told | values))
