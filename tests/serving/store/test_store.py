import asyncio
import itertools
from datetime import UTC, datetime, timedelta, timezone

import pytest

from serving.errors import ReleaseBusy, ReleaseNotFound, RouteConflict, UnknownKey
from serving.store.store import Store
from serving.store.values import (
    ApiKey,
    Arm,
    Release,
    ReleaseKey,
    ReleaseState,
    Route,
    Scope,
)

KEY = ReleaseKey(model="student", version="1.0")


def route(weight: float = 100.0, name: str = "default") -> Route:
    other = ReleaseKey(model="teacher", version="1.0")
    return Route(
        name=name,
        arms=(
            Arm(name="teacher", release=other, weight=100 - weight),
            Arm(name="student", release=KEY, weight=weight),
        ),
        sticky="none",
        timeout_s=2.5,
    )


def release(state: ReleaseState = ReleaseState.STAGED) -> Release:
    now = datetime.now(UTC)
    return Release(
        key=KEY,
        sha256="ab" * 32,
        role="student",
        class_names=("cell", "plate"),
        operating_thresholds=(0.25, 0.5),
        quality_measured=True,
        state=state,
        created=now,
        updated=now,
    )


async def test_every_change_of_a_route_is_a_revision_and_its_newest_is_the_state(
    store: Store,
) -> None:
    assert await store.latest_revision() == 0
    first = await store.put_route(route(50), who="ann", why="half", expected_revision=0)
    night = await store.put_route(route(0, "night"), who="bob", why="")
    last = await store.put_route(route(100), who="ann", why="all", expected_revision=1)

    assert [first.revision, night.revision, last.revision] == [1, 2, 3]
    assert await store.latest_revision() == 3
    assert await store.routes() == {"default": last, "night": night}
    assert await store.history("default") == [last, first]
    assert await store.history("default", limit=1) == [last]
    assert first.at.tzinfo == UTC
    entries = await store.audit_log()
    assert [(one.who, one.action, one.subject) for one in entries] == [
        ("ann", "route.set", "default"),
        ("bob", "route.set", "night"),
        ("ann", "route.set", "default"),
    ]
    assert entries[2].detail == "revision 1: teacher=teacher-1.0:50 student=student-1.0:50; half"


async def test_a_change_made_for_another_revision_is_refused_whole(store: Store) -> None:
    await store.put_route(route(50), who="ann", why="")
    with pytest.raises(RouteConflict, match=r"is at revision 1.*made for 0"):
        await store.put_route(route(100), who="bob", why="", expected_revision=0)
    assert await store.latest_revision() == 1
    assert len(await store.audit_log()) == 1


async def test_of_concurrent_changes_for_one_revision_one_wins(store: Store, other: Store) -> None:
    tries = [
        opened.put_route(route(weight), who="x", why="", expected_revision=0)
        for opened, weight in zip(itertools.cycle((store, other)), range(20), strict=False)
    ]

    results = await asyncio.gather(*tries, return_exceptions=True)

    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert sum(isinstance(result, RouteConflict) for result in results) == 19
    assert await store.routes() == await other.routes()


async def test_writers_of_two_connections_wait_for_each_other(store: Store, other: Store) -> None:
    await asyncio.gather(
        *(
            opened.heartbeat(f"gateway-{place}", place, {"student-1.0": place})
            for opened in (store, other)
            for place in range(30)
        )
    )

    statuses = await other.gateways()
    assert sorted(status.revision for status in statuses) == list(range(30))
    assert {status.beat for status in statuses} == {2}


async def test_a_release_comes_back_as_it_was_put(store: Store) -> None:
    wanted = release()
    assert await store.release(KEY) is None
    await store.put_release(wanted)
    await store.put_release(wanted)
    assert await store.releases() == [wanted]
    assert await store.release(KEY) == wanted
    assert (await store.resize_release(KEY, 3)).workers == 3
    assert (await store.release(KEY)).workers == 3


async def test_a_release_moves_only_from_an_expected_state(store: Store) -> None:
    with pytest.raises(ReleaseNotFound):
        await store.move_release(KEY, ReleaseState.LIVE, expect={ReleaseState.READY})
    await store.put_release(release(ReleaseState.READY))
    with pytest.raises(ReleaseBusy, match="is ready; this needs it to be live"):
        await store.move_release(KEY, ReleaseState.STANDBY, expect={ReleaseState.LIVE})
    moved = await store.move_release(
        KEY, ReleaseState.LIVE, expect={ReleaseState.READY}, reason="go"
    )
    assert (moved.state, moved.reason) == (ReleaseState.LIVE, "go")
    assert await store.release(KEY) == moved


async def test_of_concurrent_moves_one_wins(store: Store) -> None:
    await store.put_release(release(ReleaseState.READY))
    moves = [
        store.move_release(KEY, ReleaseState.DRAINING, expect={ReleaseState.READY})
        for _ in range(10)
    ]
    results = await asyncio.gather(*moves, return_exceptions=True)
    assert sum(isinstance(result, Release) for result in results) == 1
    assert sum(isinstance(result, ReleaseBusy) for result in results) == 9


async def test_keys_are_kept_and_revoked_once(store: Store) -> None:
    zone = timezone(timedelta(hours=2))
    key = ApiKey(
        id="k1",
        name="ann",
        scope=Scope.OPERATE,
        salt=b"\x00salt",
        hash=b"\xffhash",
        created=datetime(2026, 1, 1, 12, tzinfo=zone),
        expires=datetime(2027, 1, 1, tzinfo=UTC),
    )
    await store.add_key(key)
    found = await store.key("k1")
    assert found == key
    assert found.created.tzinfo == UTC
    assert await store.keys() == [key]

    revoked = await store.revoke_key("k1")
    assert revoked.revoked is not None
    assert await store.revoke_key("k1") == revoked
    assert await store.key("nobody") is None
    with pytest.raises(UnknownKey):
        await store.revoke_key("nobody")


async def test_the_audit_log_is_newest_first(store: Store) -> None:
    for number in range(5):
        await store.audit("ann", "test", str(number), "")
    assert [entry.subject for entry in await store.audit_log(3)] == ["4", "3", "2"]


async def test_a_write_that_is_cancelled_at_any_moment_holds_no_lock(store: Store) -> None:
    for turns in range(60):
        writing = asyncio.create_task(store.put_route(route(50), who="ann", why=str(turns)))
        for _ in range(turns % 30):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    async with asyncio.timeout(5):
        last = await store.put_route(route(100), who="ann", why="last")
    # Each write happened whole or not at all.
    assert len(await store.audit_log(1000)) == len(await store.history("default", 1000))
    assert (await store.routes())["default"] == last
