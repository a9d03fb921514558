"""One camera's connection, from its first frame to its end."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress

import structlog

from proto.wire.v1 import detection_pb2 as wire
from serving.api.stream_ends import Ending, StreamLimits
from serving.api.stream_frames import StreamFrame, StreamFrames
from serving.api.streams import NewestWins
from serving.errors import PermissionDenied, StreamEnded, Unauthenticated
from serving.store.values import ApiKey

log = structlog.get_logger(__name__)

Send = Callable[[wire.DetectResponse], Awaitable[None]]


class CameraStream:
    """Answers a camera's frames until it ends or has to.

    Args:
        frames: The stream's.
        ending: Set when no more is to be read; `frames` may set it, too.
        check_key: Returns the stream's key, or raises where it ended.
        limits: What the stream may hold and how long it may last.
        every_frame: Whether no frame is to be overtaken.
    """

    def __init__(
        self,
        frames: StreamFrames,
        *,
        ending: Ending,
        check_key: Callable[[], Awaitable[ApiKey]],
        limits: StreamLimits,
        every_frame: bool,
    ) -> None:
        self._frames = frames
        self._ending = ending
        self._check_key = check_key
        self._limits = limits
        places = limits.places_for_all if every_frame else limits.places
        self._order: NewestWins[StreamFrame, wire.DetectResponse] = NewestWins(
            frames.answered,
            frames.overtaken,
            places=places,
            unanswered=places if every_frame else limits.unanswered,
            stop=ending.asked,
        )

    async def run(
        self,
        requests: AsyncIterator[wire.DetectRequest],
        send: Send,
        stopping: asyncio.Event,
    ) -> None:
        """Answer until the camera has sent its last frame and has every answer.

        Args:
            requests: The camera's.
            send: Returns when the transport has taken the answer.
            stopping: Set when the server drains.

        Raises:
            UnderstudyError: It had to end before.
        """
        key = await self._check_key()
        work = asyncio.create_task(self._work(self._frames.read(requests, key), send))
        watch = asyncio.create_task(self._watch(stopping))
        try:
            done, _ = await asyncio.wait((work, watch), return_when=asyncio.FIRST_COMPLETED)
            # A key that ended comes before whatever else happened in the same moment.
            await (watch if watch in done else work)
        finally:
            for one in (work, watch):
                one.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)
            self._frames.leave()
        if self._ending.reason is not None:
            raise self._ending.reason

    async def _work(self, frames: AsyncIterator[StreamFrame], send: Send) -> None:
        stall_s = self._limits.stall_s
        # Closed here: left to the collector, it would go on with a camera's frames after its end.
        async with aclosing(self._order.answers(frames)) as answers:
            async for response in answers:
                try:
                    async with asyncio.timeout(stall_s):
                        await send(response)
                except TimeoutError:
                    why = f"an answer was not taken for {stall_s:g} s"
                    raise self._limits.connect_again(why) from None

    async def _watch(self, stopping: asyncio.Event) -> None:
        """Ask for the end when it is due; raise when the key has ended, frames or no frames."""
        ends_at = time.monotonic() + self._limits.one_age_s()
        while True:
            if self._ending.reason is None:
                await _set_within(stopping, self._limits.recheck_s)
            else:
                await asyncio.sleep(self._limits.recheck_s)
            await self._recheck()
            if (reason := self._due(stopping, ends_at)) is not None:
                self._ending.ask(reason)

    async def _recheck(self) -> None:
        try:
            await self._check_key()
        except (Unauthenticated, PermissionDenied):
            raise
        except Exception as error:
            log.warning("a stream's key could not be checked", exc_info=error)

    def _due(self, stopping: asyncio.Event, ends_at: float) -> StreamEnded | None:
        now, limits = time.monotonic(), self._limits
        if stopping.is_set():
            return limits.connect_again("this server stops")
        if now >= ends_at:
            return limits.connect_again(f"this stream is about {limits.age_s:g} s old")
        if self._order.idle and now - self._frames.heard_at >= limits.idle_s:
            return limits.connect_again(f"no frame came for {limits.idle_s:g} s")
        return None


async def _set_within(event: asyncio.Event, timeout_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
