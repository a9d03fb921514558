"""Several listeners that drain at once: one deadline for all, not one after another."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, TypeVar

Value = TypeVar("Value")


class Enter(Protocol):
    """Enters a context."""

    def __call__(self, manager: AbstractAsyncContextManager[Value]) -> Awaitable[Value]:
        """Return what the context yields."""


@asynccontextmanager
async def closed_together() -> AsyncIterator[Enter]:
    """Close all contexts that were entered in the block at once, at its end.

    Yields:
        What enters one.
    """
    closings: list[Callable[[], Awaitable[object]]] = []

    async def enter(manager: AbstractAsyncContextManager[Value]) -> Value:
        value = await manager.__aenter__()
        closings.append(lambda: manager.__aexit__(None, None, None))
        return value

    try:
        yield enter
    finally:
        ended = await asyncio.gather(*(close() for close in closings), return_exceptions=True)
        for one in ended:
            if isinstance(one, BaseException):
                raise one
