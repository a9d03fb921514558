import asyncio
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.errors import ReleaseBusy, RouteConflict
from serving.store.observations import Camera, Window
from serving.store.store import Store, open_store
from serving.store.values import Arm, Release, ReleaseKey, ReleaseState, Route

KEY = ReleaseKey(model="student", version="1.0")
OTHER = ReleaseKey(model="student", version="1.1")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ROUTE = Route(arms=(Arm(name="student", release=KEY, weight=100),))
RELEASE = Release(
    key=KEY,
    sha256="ab" * 32,
    role="student",
    class_names=("cell",),
    operating_thresholds=(0.25,),
    quality_measured=True,
    state=ReleaseState.READY,
    created=NOW,
    updated=NOW,
)
WINDOW = Window(
    gateway="a",
    start=NOW,
    route="default",
    revision=1,
    arm="student",
    release=KEY,
    kind="primary",
    codes={"ok": 1},
)

SEEN = {
    "route": lambda store: store.put_route(ROUTE, who="ann", why=""),
    "release": lambda store: store.put_release(RELEASE),
    "placed": lambda store: store.put_placements("east", {KEY: 2}),
    "moved": lambda store: store.put_placements("east", {KEY: 1}),
    "emptied": lambda store: store.put_placements("east", {}),
}
UNSEEN = {
    "join": lambda store: store.join_gateway("a"),
    "beat": lambda store: store.heartbeat("a", 1, {}),
    "window": lambda store: store.add_windows([WINDOW]),
    "camera": lambda store: store.put_camera(Camera(id="yard")),
    "seen": lambda store: store.see_cameras({"yard": NOW}),
    "audit": lambda store: store.audit("ann", "test", "", ""),
    "lease": lambda store: store.acquire_lease("a", 60),
}


async def test_each_change_that_gateways_act_by_raises_it(store: Store) -> None:
    assert await store.generation() == 0

    told = []
    for change in SEEN.values():
        await change(store)
        told.append(await store.generation())
    await store.move_release(KEY, ReleaseState.LIVE, expect={ReleaseState.READY})
    told.append(await store.generation())
    await store.resize_release(KEY, 3)
    told.append(await store.generation())

    assert told == sorted(set(told))
    assert told[0] > 0


async def test_nothing_else_raises_it(store: Store) -> None:
    await store.put_placements("east", {KEY: 2})
    before = await store.generation()

    for change in UNSEEN.values():
        await change(store)
    await store.put_placements("east", {KEY: 2})
    await store.put_placements("west", {})

    assert await store.generation() == before


async def test_a_change_that_is_refused_does_not_raise_it(store: Store) -> None:
    await store.put_release(RELEASE)
    before = await store.generation()

    with pytest.raises(ReleaseBusy):
        await store.move_release(KEY, ReleaseState.LIVE, expect={ReleaseState.STAGED})
    with pytest.raises(RouteConflict):
        await store.put_route(ROUTE, who="ann", why="", expected_revision=7)

    assert await store.generation() == before


async def test_no_change_of_many_at_once_goes_uncounted(store: Store, other: Store) -> None:
    await asyncio.gather(
        *(
            opened.put_placements(f"{name}-{number}", {KEY: 1, OTHER: number})
            for number in range(15)
            for name, opened in (("one", store), ("two", other))
        )
    )

    assert await store.generation() == 30
    assert len(await other.placements()) == 30


async def test_placements_come_back_by_backend(store: Store) -> None:
    await store.put_placements("west", {OTHER: 1})
    await store.put_placements("east", {KEY: 2, OTHER: 0})
    assert await store.placements() == {"east": {KEY: 2, OTHER: 0}, "west": {OTHER: 1}}

    await store.put_placements("east", {OTHER: 3})
    await store.put_placements("west", {})

    assert await store.placements() == {"east": {OTHER: 3}}


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([*SEEN, *UNSEEN]), max_size=15))
def test_it_never_falls_and_tells_every_difference(names: list[str]) -> None:
    asyncio.run(_follow(names))


async def _follow(names: list[str]) -> None:
    with TemporaryDirectory() as folder:
        async with open_store(f"sqlite+aiosqlite:///{Path(folder) / 'store'}") as store:
            seen = (await store.generation(), await _what_gateways_read(store))
            for name in names:
                await (SEEN | UNSEEN)[name](store)
                now = (await store.generation(), await _what_gateways_read(store))
                assert now[0] >= seen[0]
                assert now == seen or now[0] > seen[0]
                seen = now


async def _what_gateways_read(store: Store) -> object:
    return await store.routes(), await store.releases(), await store.placements()
