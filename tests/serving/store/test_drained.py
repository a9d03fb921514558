"""The drain protocol's one question: may this version be unregistered?"""

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from serving.store.store import Store
from serving.store.tables import gateways
from serving.store.values import ReleaseKey

KEY = ReleaseKey(model="student", version="1.0")
SILENT_AFTER_S = 30.0


async def drained(store: Store, revision: int = 5) -> bool:
    return await store.drained(KEY, revision, SILENT_AFTER_S)


async def age(store: Store, gateway: str, seconds: float) -> None:
    """Make a gateway's last heartbeat older, as if it had been silent."""
    then = datetime.now(UTC) - timedelta(seconds=seconds)
    async with store._engine.begin() as connection:
        await connection.execute(
            update(gateways).where(gateways.c.id == gateway).values(heartbeat=then)
        )


async def test_without_a_gateway_nothing_is_held(store: Store) -> None:
    assert await drained(store)


async def test_a_gateway_that_has_not_read_the_route_yet_holds_it(store: Store) -> None:
    await store.join_gateway("a")
    assert not await drained(store)


async def test_a_gateway_at_an_older_revision_holds_it(store: Store) -> None:
    await store.join_gateway("a")
    await store.heartbeat("a", 4, {})
    assert not await drained(store)
    await store.heartbeat("a", 5, {})
    assert await drained(store)


async def test_a_frame_in_flight_holds_its_release_and_no_other(store: Store) -> None:
    await store.join_gateway("a")
    await store.heartbeat("a", 6, {"student-1.0": 1})
    assert not await drained(store)
    await store.heartbeat("a", 6, {"student-1.1": 3, "student-1.0": 0})
    assert await drained(store)


async def test_every_gateway_counts(store: Store) -> None:
    for gateway in ("a", "b"):
        await store.join_gateway(gateway)
        await store.heartbeat(gateway, 5, {})
    await store.heartbeat("b", 5, {"student-1.0": 2})
    assert not await drained(store)
    await store.leave_gateway("b")
    assert await drained(store)


async def test_a_silent_gateway_counts_as_gone_after_its_time(store: Store) -> None:
    await store.join_gateway("a")
    await store.heartbeat("a", 4, {"student-1.0": 1})
    await age(store, "a", SILENT_AFTER_S - 5)
    assert not await drained(store)
    await age(store, "a", SILENT_AFTER_S + 1)
    assert await drained(store)
    await store.heartbeat("a", 4, {"student-1.0": 1})
    assert not await drained(store)


async def test_a_gateway_that_joins_again_begins_anew(store: Store) -> None:
    await store.join_gateway("a")
    await store.heartbeat("a", 9, {})
    await store.join_gateway("a")
    (status,) = await store.gateways()
    assert (status.revision, status.in_flight) == (-1, {})


async def test_a_gateway_that_was_forgotten_comes_back_with_its_heartbeat(store: Store) -> None:
    await store.join_gateway("old")
    await age(store, "old", 2 * 3600)
    await store.join_gateway("new")
    assert [status.id for status in await store.gateways()] == ["new"]
    await store.heartbeat("old", 3, {"student-1.0": 1})
    assert not await drained(store)


async def test_a_question_asked_while_gateways_beat_sees_whole_heartbeats(store: Store) -> None:
    await store.join_gateway("a")
    await store.heartbeat("a", 4, {"student-1.0": 1})

    async def beat() -> None:
        for number in range(40):
            # Never at once: at the new revision there is always a frame in flight.
            await store.heartbeat("a", 4 + number % 2, {"student-1.0": 1})

    beating = asyncio.create_task(beat())
    while not beating.done():
        assert not await drained(store)
    await beating
