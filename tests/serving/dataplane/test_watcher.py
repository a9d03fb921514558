import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.dataplane.heartbeat import Heartbeat
from serving.dataplane.inflight import InFlight
from serving.dataplane.route_table import RouteTable
from serving.dataplane.watcher import RouteWatcher
from serving.errors import BackendUnavailable, StaleRoute, UnknownRoute
from serving.store.desired import Desired
from serving.store.store import Store, open_store
from serving.store.values import Arm, Release, ReleaseKey, ReleaseState, Route

KEY = ReleaseKey(model="yolo", version="1.0")
ROUTE = Route(arms=(Arm(name="main", release=KEY, weight=100),))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite+aiosqlite:///{tmp_path}/store.sqlite3") as opened:
        yield opened


def release(workers: int = 1) -> Release:
    now = datetime.now(UTC)
    return Release(
        key=KEY,
        sha256="0" * 64,
        role="teacher",
        class_names=("cell",),
        operating_thresholds=(0.25,),
        quality_measured=False,
        state=ReleaseState.LIVE,
        workers=workers,
        created=now,
        updated=now,
    )


class Applied:
    """Remembers each table, and lets a test wait for one."""

    def __init__(self) -> None:
        self.tables: list[RouteTable] = []
        self._came = asyncio.Event()

    def __call__(self, table: RouteTable) -> None:
        self.tables.append(table)
        self._came.set()

    async def until(self, revision: int) -> None:
        async with asyncio.timeout(5):
            while not self.tables or self.tables[-1].revision < revision:
                self._came.clear()
                await self._came.wait()


async def test_a_change_is_applied_whole_within_a_few_polls(store: Store) -> None:
    applied = Applied()
    watcher = RouteWatcher(store, applied, poll_s=0.01)
    await watcher.refresh()
    following = asyncio.create_task(watcher.follow())
    await store.put_release(release())

    added = await store.put_route(ROUTE, who="test", why="test")
    await applied.until(added.revision)
    following.cancel()

    assert watcher.table.route("") == ROUTE
    assert watcher.table.release(KEY).class_names == ("cell",)
    assert applied.tables[0].revision == 0


async def test_callers_that_come_together_share_one_read(store: Store) -> None:
    applied = Applied()
    watcher = RouteWatcher(store, applied)

    await asyncio.gather(*[watcher.refresh() for _ in range(20)])

    # The first reads for itself; the others came before a second read began, and share that.
    assert len(applied.tables) <= 2


async def test_a_refresh_never_returns_what_was_read_before_it_was_asked(store: Store) -> None:
    watcher = RouteWatcher(store, Applied())
    for revision in range(1, 20):
        early = asyncio.create_task(watcher.refresh())
        await asyncio.sleep(0)
        added = await store.put_route(ROUTE, who="test", why=str(revision))

        await watcher.refresh()

        assert watcher.table.revision == added.revision
        await early


async def test_workers_and_placements_are_noticed_without_a_new_revision(store: Store) -> None:
    await store.put_release(release(workers=1))
    added = await store.put_route(ROUTE, who="test", why="test")
    watcher = RouteWatcher(store, Applied(), poll_s=0.01)
    await watcher.refresh()
    following = asyncio.create_task(watcher.follow())

    await store.put_release(release(workers=3))
    await store.put_placements("backend-1", {KEY: 2})
    await store.put_placements("backend-2", {KEY: 1})

    async with asyncio.timeout(5):
        while len(watcher.table.ready_workers(KEY)) < 2:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
    following.cancel()
    assert watcher.table.ready_workers(KEY) == {"backend-1": 2, "backend-2": 1}
    assert watcher.table.release(KEY).workers == 3
    assert watcher.table.revision_of("default") == added.revision == watcher.table.revision


def test_a_table_without_routes_says_what_to_do() -> None:
    with pytest.raises(BackendUnavailable, match="no route yet"):
        RouteTable().route("")


def test_an_unknown_route_is_told_the_known_ones() -> None:
    table = RouteTable(1, {"default": ROUTE, "night": ROUTE})

    with pytest.raises(UnknownRoute, match="no route 'dawn', only default, night"):
        table.route("dawn")


def test_a_release_the_table_lacks_means_a_stale_route() -> None:
    with pytest.raises(StaleRoute, match=r"yolo-1\.0"):
        RouteTable(1, {"default": ROUTE}).release(KEY)


async def test_a_beat_is_written_at_once_when_wanted_and_otherwise_by_the_clock(
    store: Store,
) -> None:
    counts: dict[str, int] = {}
    heartbeat = Heartbeat(store, "gateway-1", lambda: (7, dict(counts)), period_s=60)
    await store.join_gateway("gateway-1")
    beating = asyncio.create_task(heartbeat.follow())

    async def told(expected: dict[str, int]) -> None:
        async with asyncio.timeout(5):
            while True:
                (status,) = await store.gateways()
                if (status.revision, status.in_flight) == (7, expected):
                    return
                await asyncio.sleep(0.005)

    await told({})  # the first beat waits for nothing
    counts["yolo-1.0"] = 2
    heartbeat.soon()  # the next scheduled one is a minute away
    await told({"yolo-1.0": 2})
    beating.cancel()


def test_in_flight_counts_by_release_and_tells_each_change() -> None:
    told: list[tuple[str, int]] = []
    in_flight = InFlight(lambda key, count: told.append((str(key), count)))
    other = ReleaseKey(model="other", version="2")

    for key in (KEY, KEY, other):
        in_flight.enter(key)
    in_flight.leave(other)

    assert in_flight.counts() == {"yolo-1.0": 2}
    assert in_flight.of(other) == 0
    assert told == [("yolo-1.0", 1), ("yolo-1.0", 2), ("other-2", 1), ("other-2", 0)]


class Silent:
    """A store that does not answer."""

    async def generation(self) -> int:
        await asyncio.Event().wait()
        return 0

    async def desired(self) -> Desired:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_frame_does_not_wait_for_a_store_beyond_its_time() -> None:
    watcher = RouteWatcher(Silent(), lambda table: None)

    async with asyncio.timeout(5):
        assert not await watcher.try_refresh(0.01)
