"""A route change is answered when the gateways have applied it."""

import asyncio
import contextlib

from serving.controlplane.propagation import propagated
from serving.store.store import Store


async def test_without_a_gateway_there_is_nothing_to_wait_for(store: Store) -> None:
    assert await propagated(store, 7)


async def test_it_waits_for_the_gateway_that_is_behind(store: Store) -> None:
    await store.join_gateway("here")
    await store.heartbeat("here", 6, {})
    waiting = asyncio.create_task(propagated(store, 7))

    done, _ = await asyncio.wait([waiting], timeout=0.1)
    await store.heartbeat("here", 7, {"student-1.0": 3})

    assert not done
    assert await waiting


async def test_a_gateway_that_stays_behind_is_told_and_not_waited_for_longer(store: Store) -> None:
    await store.join_gateway("late")
    await store.heartbeat("late", 6, {})
    over = asyncio.Event()
    beating = asyncio.create_task(_beat(store, over))

    assert not await propagated(store, 7)
    over.set()
    await beating


async def _beat(store: Store, over: asyncio.Event) -> None:
    while not over.is_set():
        await store.heartbeat("late", 6, {})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), 0.1)
