"""The drain protocol's one question: who may still send to this version?"""

import asyncio
from collections.abc import Awaitable, Callable

from serving.store.store import Store
from serving.store.values import ReleaseKey

KEY = ReleaseKey(model="student", version="1.0")
Silent = Callable[[str, float], Awaitable[None]]


async def holders(store: Store, revision: int = 5) -> list[str]:
    return [status.id for status in await store.holders(KEY, revision)]


async def test_without_a_gateway_nothing_is_held(store: Store) -> None:
    assert await holders(store) == []


async def test_a_gateway_that_has_not_read_the_route_yet_holds_it(store: Store) -> None:
    await store.join_gateway("a")

    assert await holders(store) == ["a"]


async def test_a_gateway_at_an_older_revision_holds_it(store: Store) -> None:
    await store.join_gateway("a")
    await store.heartbeat("a", 4, {})

    assert await holders(store) == ["a"]
    await store.heartbeat("a", 5, {})
    assert await holders(store) == []


async def test_a_frame_in_flight_holds_its_release_and_no_other(store: Store) -> None:
    await store.join_gateway("a")
    await store.heartbeat("a", 6, {"student-1.0": 1})

    assert await holders(store) == ["a"]
    await store.heartbeat("a", 6, {"student-1.1": 3, "student-1.0": 0})
    assert await holders(store) == []


async def test_every_gateway_counts(store: Store) -> None:
    for gateway in ("a", "b"):
        await store.join_gateway(gateway)
        await store.heartbeat(gateway, 5, {})
    await store.heartbeat("b", 5, {"student-1.0": 2})

    assert await holders(store) == ["b"]
    await store.leave_gateway("b")
    assert await holders(store) == []


async def test_a_silent_gateway_holds_on_and_its_beat_stands_still(
    store: Store, silent: Silent
) -> None:
    await store.join_gateway("a")
    await store.heartbeat("a", 4, {"student-1.0": 1})
    (before,) = await store.holders(KEY, 5)
    await silent("a", 3600)

    (after,) = await store.holders(KEY, 5)

    assert (before.beat, after.beat) == (1, 1)
    await store.heartbeat("a", 4, {"student-1.0": 1})
    (again,) = await store.holders(KEY, 5)
    assert again.beat == 2


async def test_a_heartbeat_tells_how_many_gateways_live(store: Store, silent: Silent) -> None:
    for gateway in ("a", "b"):
        await store.join_gateway(gateway)

    assert await store.heartbeat("a", 1, {}) == 2
    await silent("b", 6)
    assert await store.heartbeat("a", 1, {}) == 1
    assert await store.heartbeat("b", 1, {}) == 2


async def test_a_gateway_that_joins_again_begins_anew(store: Store) -> None:
    await store.join_gateway("a")
    await store.heartbeat("a", 9, {})
    await store.join_gateway("a")

    (status,) = await store.gateways()

    assert (status.revision, status.beat, status.in_flight) == (-1, 0, {})


async def test_a_gateway_that_was_forgotten_comes_back_with_its_heartbeat(
    store: Store, silent: Silent
) -> None:
    await store.join_gateway("old")
    await silent("old", 25 * 3600)
    await store.join_gateway("new")

    assert [status.id for status in await store.gateways()] == ["new"]
    await store.heartbeat("old", 3, {"student-1.0": 1})
    assert sorted(await holders(store)) == ["new", "old"]


async def test_heartbeats_are_dated_by_the_database(store: Store) -> None:
    before = await store.now()
    await store.join_gateway("a")
    await store.heartbeat("a", 1, {})
    after = await store.now()

    (status,) = await store.gateways()

    assert before <= status.started <= status.heartbeat <= after


async def test_a_question_asked_while_gateways_beat_sees_whole_heartbeats(
    store: Store, other: Store
) -> None:
    await store.join_gateway("a")
    await store.heartbeat("a", 4, {"student-1.0": 1})

    async def beat() -> None:
        for number in range(40):
            # Never at once: at the new revision there is always a frame in flight.
            await other.heartbeat("a", 4 + number % 2, {"student-1.0": 1})

    beating = asyncio.create_task(beat())
    while not beating.done():
        assert await holders(store) == ["a"]
    await beating
