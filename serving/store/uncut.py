"""Lets a transaction end before a cancellation is obeyed."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


async def uncut(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Return what `work` returns; who cancels waits until it has ended.

    A transaction that is cut off between its BEGIN and its end leaves its connection, and with it
    SQLite's one write lock, to the garbage collector: every other writer then waits in vain.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        # Seen, so that asyncio does not call it never retrieved.
        task.exception()
    raise cancelled
