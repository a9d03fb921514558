"""One camera's frames over one connection: answered in order, a few of them under way at once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Generic, TypeVar

Request = TypeVar("Request")
Response = TypeVar("Response")


class InOrder(Generic[Request, Response]):
    """Answers a stream's requests concurrently and hands the answers out in order.

    A request is read only when one of the `limit` places is free, so a sender that is too fast is
    held back by the transport's flow control.

    Args:
        answer: Answers one request; what it raises ends the stream.
        limit: Requests under way at once.
        stop: When set, no further request is read; those under way are answered.
    """

    def __init__(
        self,
        answer: Callable[[Request], Coroutine[None, None, Response]],
        *,
        limit: int,
        stop: asyncio.Event,
    ) -> None:
        self._answer = answer
        self._stop = stop
        self._places = asyncio.Semaphore(limit)
        self._under_way: asyncio.Queue[asyncio.Task[Response] | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Response]] = set()

    async def answers(self, requests: AsyncIterator[Request]) -> AsyncIterator[Response]:
        """Yield an answer for each request; leaving early cancels what is under way."""
        reader = asyncio.create_task(self._read(requests))
        try:
            while (task := await self._under_way.get()) is not None:
                yield await task
                self._tasks.discard(task)
                self._places.release()
            await reader
        finally:
            unfinished = (reader, *self._tasks)
            for one in unfinished:
                one.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)

    async def _read(self, requests: AsyncIterator[Request]) -> None:
        stopping = asyncio.create_task(self._stop.wait())
        try:
            while (request := await self._next(requests, stopping)) is not None:
                task = asyncio.create_task(self._answer(request))
                self._tasks.add(task)
                self._under_way.put_nowait(task)
        finally:
            stopping.cancel()
            self._under_way.put_nowait(None)

    async def _next(
        self, requests: AsyncIterator[Request], stopping: "asyncio.Task[bool]"
    ) -> Request | None:
        """Return the next request; None at the stream's end or when the server stops."""
        await self._places.acquire()
        if self._stop.is_set():
            return None
        coming = asyncio.ensure_future(anext(requests, None))
        try:
            await asyncio.wait((coming, stopping), return_when=asyncio.FIRST_COMPLETED)
            return coming.result() if coming.done() else None
        finally:
            coming.cancel()
