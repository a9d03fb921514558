"""Ends of work: some must be reached, some must end all the rest."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """Do work to its end; a cancellation takes effect after it.

    `asyncio.shield` alone would leave the work to go on by itself, beside what follows.

    Raises:
        CancelledError: The caller was cancelled meanwhile; the work is done.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # seen: the cancellation goes first
        raise cancelled
    return task.result()


async def until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Do several things at once until the first ends or fails, then cancel the others.

    Unlike a task group it raises what failed as it is, and does not wait for the others.
    """
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
