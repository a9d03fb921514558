import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from serving.supervisor.closed_together import closed_together


async def test_each_closes_while_the_others_do() -> None:
    meeting = asyncio.Barrier(2)

    @asynccontextmanager
    async def listener(name: str) -> AsyncIterator[str]:
        yield name
        # One after the other, they would never meet.
        await meeting.wait()

    async with asyncio.timeout(10), closed_together() as enter:
        names = [await enter(listener("http")), await enter(listener("grpc"))]

    assert names == ["http", "grpc"]


async def test_one_that_fails_does_not_keep_the_others_open() -> None:
    closed: list[str] = []

    @asynccontextmanager
    async def listener(name: str, error: Exception | None = None) -> AsyncIterator[None]:
        yield
        if error is not None:
            raise error
        closed.append(name)

    async def both() -> None:
        async with closed_together() as enter:
            await enter(listener("http", OSError("broken")))
            await enter(listener("grpc"))

    with pytest.raises(OSError, match="broken"):
        await both()

    assert closed == ["grpc"]
