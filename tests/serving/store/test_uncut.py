import asyncio

import pytest

from serving.store.store import Store
from serving.store.uncut import uncut


async def test_a_writer_that_is_cancelled_anywhere_leaves_no_lock(store: Store) -> None:
    await store.join_gateway("gateway-1")

    for steps in range(40):
        writing = asyncio.create_task(store.heartbeat("gateway-1", 0, {}))
        for _ in range(steps):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

        async with asyncio.timeout(2):  # a lock that stays costs ten seconds
            await store.heartbeat("gateway-1", 0, {})


async def test_who_cancels_waits_and_is_obeyed_afterwards() -> None:
    done = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0.01)
        done.set()

    waiting = asyncio.create_task(uncut(work()))
    await asyncio.sleep(0)
    for _ in range(2):
        waiting.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert done.is_set()
