"""Frames in, answers out, in order; when we are behind, the newest frame wins."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Generic, TypeVar

Request = TypeVar("Request")
Response = TypeVar("Response")


class NewestWins(Generic[Request, Response]):
    """Answers one stream's requests; each gets exactly one answer, in the order they came.

    At most `places` requests are being answered, or were and their answers have not left. One more
    may wait; a newer one takes its place, and it is told that it was overtaken. So the newest is
    never dropped, and what is held is `places + 1` requests and `unanswered` small answers, however
    slow we or the other end are: beyond that nothing is read, and the transport's flow control
    holds the sender back.

    Args:
        answer: Answers one request; what it raises ends the stream.
        overtaken: Returns what a request is told that a newer one overtook.
        places: Requests under way at once.
        unanswered: Requests read whose answers have not left. Not more than `places`: none is ever
            overtaken, and a fast sender is held back instead.
        stop: When set, no further request is read; those read are answered.
    """

    def __init__(
        self,
        answer: Callable[[Request], Coroutine[None, None, Response]],
        overtaken: Callable[[Request], Response],
        *,
        places: int,
        unanswered: int,
        stop: asyncio.Event,
    ) -> None:
        # A request's turn in the order of answers is the future of its answer.
        self._answer = answer
        self._overtaken = overtaken
        self._stop = stop
        self._free = places
        self._room = asyncio.Semaphore(unanswered)
        self._turns: asyncio.Queue[asyncio.Future[Response] | None] = asyncio.Queue()
        self._waiting: tuple[Request, asyncio.Future[Response]] | None = None
        self._under_way: dict[asyncio.Future[Response], asyncio.Task[None]] = {}

    @property
    def idle(self) -> bool:
        """Whether every request that was read has been answered, and its answer has left."""
        return not self._under_way and self._waiting is None

    async def answers(self, requests: AsyncIterator[Request]) -> AsyncGenerator[Response, None]:
        """Yield an answer for each request; closing it cancels what is under way."""
        reader = asyncio.create_task(self._read(requests))
        try:
            while (turn := await self._turns.get()) is not None:
                yield await turn
                self._leave(turn)
            await reader
        finally:
            unfinished = (reader, *self._under_way.values())
            for one in unfinished:
                one.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)

    async def _read(self, requests: AsyncIterator[Request]) -> None:
        stopping = asyncio.create_task(self._stop.wait())
        try:
            while (request := await self._next(requests, stopping)) is not None:
                self._take(request)
        finally:
            stopping.cancel()
            self._turns.put_nowait(None)

    async def _next(
        self, requests: AsyncIterator[Request], stopping: "asyncio.Task[bool]"
    ) -> Request | None:
        """Return the next request; None at the stream's end or when we are to stop."""
        await self._room.acquire()
        if self._stop.is_set():
            return None
        coming = asyncio.ensure_future(anext(requests, None))
        try:
            await asyncio.wait((coming, stopping), return_when=asyncio.FIRST_COMPLETED)
            return coming.result() if coming.done() else None
        finally:
            coming.cancel()

    def _take(self, request: Request) -> None:
        turn: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._turns.put_nowait(turn)
        if self._waiting is not None:
            old, its = self._waiting
            its.set_result(self._overtaken(old))
        self._waiting = (request, turn)
        self._start()

    def _start(self) -> None:
        """Have the waiting request answered if a place is free."""
        if self._waiting is None or not self._free:
            return
        (request, turn), self._waiting = self._waiting, None
        self._free -= 1
        self._under_way[turn] = asyncio.create_task(self._tell(request, turn))

    async def _tell(self, request: Request, turn: "asyncio.Future[Response]") -> None:
        try:
            turn.set_result(await self._answer(request))
        except Exception as error:  # noqa: BLE001 - it ends the stream when its turn comes
            turn.set_exception(error)
            # Its turn may never come, and asyncio would complain that nobody asked.
            turn.exception()

    def _leave(self, turn: "asyncio.Future[Response]") -> None:
        """An answer has left: its place and its room are free."""
        if self._under_way.pop(turn, None) is not None:
            self._free += 1
            self._start()
        self._room.release()
