"""A client that leaves before its answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.requests import ClientDisconnect


@asynccontextmanager
async def cancelled_on_disconnect(request: Request) -> AsyncIterator[None]:
    """Leave the block with `ClientDisconnect` when the client goes: its frame is not sent then."""
    work = asyncio.current_task()
    left = asyncio.create_task(_left(request))
    gone = False

    def stop(_: "asyncio.Task[None]") -> None:
        nonlocal gone
        if not left.cancelled() and work is not None:
            gone = True
            work.cancel()

    left.add_done_callback(stop)
    try:
        yield
    except asyncio.CancelledError:
        if gone and work is not None:
            work.uncancel()
            raise ClientDisconnect from None
        raise
    finally:
        left.remove_done_callback(stop)
        left.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
