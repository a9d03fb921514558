from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.store.observations import AgreementSums, CameraWindow, ClassAgreement, Window
from serving.store.store import Store
from serving.store.values import ReleaseKey

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = ReleaseKey(model="student", version="1.0")


def window(**changes: Any) -> Window:
    values: dict[str, Any] = {
        "gateway": "gateway-1",
        "start": START,
        "route": "default",
        "revision": 3,
        "arm": "student",
        "release": KEY,
        "kind": "primary",
        "codes": {"ok": 7, "overloaded": 1},
        "latency": {95: 4, 96: 3},
        "cameras": {"yard": CameraWindow(frames=8, errors=1, latency={95: 4, 96: 3})},
    }
    return Window.model_validate(values | changes)


async def test_windows_come_back_as_they_were_added(store: Store) -> None:
    sums = AgreementSums(
        frames=2,
        f1=1.5,
        matched=3,
        iou=2.25,
        score_difference=0.125,
        count_difference=1,
        classes={0: ClassAgreement(matched=3, primary=4, shadow=3)},
    )
    compared = CameraWindow(frames=2, compared=2, f1=1.5)
    shadow = window(kind="shadow", agreement=sums, cameras={"yard": compared})
    bare = window(latency={}, cameras={}, codes={"internal": 1})
    wanted = [window(), shadow, bare]

    await store.add_windows(wanted)
    await store.add_windows([])

    assert await store.windows("default", since=START) == wanted


async def test_windows_are_asked_by_route_time_and_revision(store: Store) -> None:
    later = START + timedelta(seconds=5)
    first, second = window(), window(start=later, revision=4)
    await store.add_windows([second, first, window(route="night")])

    assert await store.windows("default", since=START) == [first, second]
    assert await store.windows("default", since=later) == [second]
    assert await store.windows("default", since=START, revision=3) == [first]
    assert await store.windows("nowhere", since=START) == []


async def test_pages_hold_each_window_once_late_ones_too(store: Store) -> None:
    later = START + timedelta(seconds=5)
    nothing = await store.windows_page("default", since=START, after=None, limit=2)
    early = window(start=START - timedelta(seconds=5))
    three = [window(start=later), window(arm="teacher"), window(start=later, revision=4)]
    await store.add_windows([early, three[0], window(route="night"), *three[1:]])

    first = await store.windows_page("default", since=START, after=nothing.last, limit=2)
    second = await store.windows_page("default", since=START, after=first.last, limit=2)
    late = window(kind="fallback")
    await store.add_windows([late, early])
    third = await store.windows_page("default", since=START, after=second.last, limit=2)
    fourth = await store.windows_page("default", since=START, after=third.last, limit=2)

    assert nothing == ([], None)
    assert first.windows + second.windows == three
    assert third.windows == [late]
    assert fourth == ([], third.last)


async def test_cameras_parts_are_forgotten_before_the_rest(store: Store) -> None:
    times = [START + timedelta(days=day) for day in range(3)]
    await store.add_windows([window(start=time) for time in times])

    await store.forget_windows(before=times[1], cameras_before=times[2])

    kept = await store.windows("default", since=START)
    assert [one.start for one in kept] == times[1:]
    assert [sorted(one.cameras) for one in kept] == [[], ["yard"]]
    await store.forget_windows(before=START + timedelta(days=9), cameras_before=START)
    assert await store.windows("default", since=START) == []


HISTOGRAMS = st.dictionaries(st.integers(0, 400), st.integers(1, 10**9), max_size=4)
COUNTS = st.integers(0, 10**9)
SUMS = st.floats(0, 1e9)
CAMERAS = st.builds(
    CameraWindow, frames=COUNTS, errors=COUNTS, latency=HISTOGRAMS, compared=COUNTS, f1=SUMS
)
AGREEMENTS = st.builds(
    AgreementSums,
    frames=COUNTS,
    f1=SUMS,
    iou=SUMS,
    classes=st.dictionaries(
        st.integers(0, 99), st.builds(ClassAgreement, matched=COUNTS, primary=COUNTS), max_size=3
    ),
)
NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128)
WINDOWS = st.builds(
    window,
    start=st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    kind=st.sampled_from(["primary", "fallback", "shadow"]),
    codes=st.dictionaries(st.sampled_from(["ok", "overloaded", "internal"]), COUNTS),
    latency=HISTOGRAMS,
    agreement=st.none() | AGREEMENTS,
    cameras=st.dictionaries(NAMES, CAMERAS, max_size=3),
)


@settings(
    max_examples=30,
    deadline=None,
    # Each example asks for its own route, so that one store serves them all.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(windows=st.lists(WINDOWS, max_size=5))
async def test_any_windows_come_back(store: Store, windows: list[Window]) -> None:
    route = uuid4().hex
    mine = [one.model_copy(update={"route": route}) for one in windows]

    await store.add_windows(mine)

    found = await store.windows(route, since=datetime(2020, 1, 1, tzinfo=UTC))
    assert found == sorted(mine, key=lambda one: one.start)
