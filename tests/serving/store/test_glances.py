from datetime import UTC, datetime, timedelta
from typing import Any

from serving.store.observations import AgreementSums, CameraWindow, Window
from serving.store.store import Store
from serving.store.values import ReleaseKey

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CAMERAS = {
    "gate-1": CameraWindow(frames=5, errors=1, latency={100: 3, 120: 1}),
    "gate-2": CameraWindow(frames=2, errors=2),
}


def window(seconds: float, **others: Any) -> Window:
    values: dict[str, Any] = {
        "gateway": "g",
        "start": START + timedelta(seconds=seconds),
        "route": "default",
        "revision": 1,
        "arm": "student",
        "release": ReleaseKey(model="student", version="1.0"),
        "kind": "primary",
        "codes": {"ok": 4, "worker_died": 3},
        "latency": {100: 3, 120: 1},
        "cameras": CAMERAS,
    }
    return Window(**(values | others))


async def test_a_glance_has_what_is_shown_and_who_was_answered(store: Store) -> None:
    await store.add_windows([window(0), window(5, route="other")])

    page = await store.glances("default", since=START, after=None, limit=9, cameras_since=START)

    (one,) = page.glances
    assert (one.start, one.arm, one.release, one.kind) == (
        START,
        "student",
        "student-1.0",
        "primary",
    )
    assert (one.codes, one.latency) == ({"ok": 4, "worker_died": 3}, {100: 3, 120: 1})
    assert (one.agreement, one.cameras) == (None, {"gate-1": 4, "gate-2": 0})


async def test_what_was_compared_comes_without_cameras_and_so_does_what_is_older(
    store: Store,
) -> None:
    agreement = AgreementSums(frames=2, f1=1.5, matched=3, iou=2.4)
    await store.add_windows([window(0), window(5, kind="shadow", agreement=agreement)])

    later = START + timedelta(seconds=1)
    page = await store.glances("default", since=START, after=None, limit=9, cameras_since=later)

    old, shadow = page.glances
    assert (old.cameras, shadow.cameras) == ({}, {})
    assert shadow.agreement == {"frames": 2, "f1": 1.5, "matched": 3, "iou": 2.4}


async def test_pages_go_on_where_the_last_one_ended(store: Store) -> None:
    async def page(after: int | None) -> tuple[list[datetime], int | None]:
        found = await store.glances(
            "default", since=START, after=after, limit=2, cameras_since=START
        )
        return [one.start for one in found.glances], found.last

    assert await page(None) == ([], None)
    await store.add_windows([window(-5), window(0), window(5), window(10)])

    first, last = await page(None)
    second, end = await page(last)
    assert first + second == [START + timedelta(seconds=seconds) for seconds in (0, 5, 10)]
    # One that a gateway wrote late is read too.
    await store.add_windows([window(0)])
    assert (await page(end))[0] == [START]
