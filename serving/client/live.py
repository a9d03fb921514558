"""A camera's stream that connects again whenever it ends."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable

import grpc

from proto.wire.v1 import detection_pb2 as wire
from serving.client.backlog import Backlog
from serving.client.lines import Line, Lines
from serving.client.retries import Reconnects
from serving.client.wire import Metadata, failure, stub
from serving.errors import BackendUnavailable, UnderstudyError

# Told why, and after how many seconds, a stream connects again.
Reconnecting = Callable[[UnderstudyError, float], None]

_MOST_UNANSWERED = 1000
_MOST_IN_FULL = 16


class LiveStream:
    """One camera's frames, over one connection after another.

    Args:
        lines: Of the client.
        metadata: Of each call.
        every_frame: Whether no frame may be overtaken.
        patience_s: How long nobody may answer.
        reconnecting: Told of each end.
    """

    def __init__(
        self,
        lines: Lines[grpc.aio.Channel],
        metadata: Metadata,
        *,
        every_frame: bool,
        patience_s: float,
        reconnecting: Reconnecting,
    ) -> None:
        self._lines = lines
        self._metadata = metadata
        self._reconnects = Reconnects(addresses=len(lines), patience_s=patience_s)
        self._reconnecting = reconnecting
        self._line: Line[grpc.aio.Channel] | None = None
        most = _MOST_IN_FULL if every_frame else _MOST_UNANSWERED
        self._backlog = Backlog(every_frame=every_frame, most=most)

    async def answers(
        self, requests: AsyncIterable[wire.DetectRequest]
    ) -> AsyncIterator[wire.DetectResponse]:
        """Yield each request's answer, in order; raises as `AsyncDetectClient.live` says."""
        work = asyncio.create_task(self._work(requests))
        work.add_done_callback(lambda _: self._backlog.wake())
        try:
            while not work.done():
                await self._backlog.until(lambda: self._backlog.has_answers or work.done())
                for response in self._backlog.ready():
                    yield response
            for response in self._backlog.ready():
                yield response
            await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _work(self, requests: AsyncIterable[wire.DetectRequest]) -> None:
        both = [asyncio.create_task(self._feed(requests)), asyncio.create_task(self._talk())]
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_EXCEPTION)
            for one in done:
                await one
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _feed(self, requests: AsyncIterable[wire.DetectRequest]) -> None:
        async for request in requests:
            await self._backlog.until(lambda: not self._backlog.full)
            self._backlog.add(request)
        self._backlog.close()

    async def _talk(self) -> None:
        """Keep a stream open as long as there are frames for it."""
        backlog = self._backlog
        while True:
            await backlog.until(lambda: backlog.to_send or backlog.all_answered)
            if backlog.all_answered:
                return
            with self._lines.line(self._reconnects.tried) as line:
                try:
                    await self._connection(line)
                except UnderstudyError as error:
                    pause_s = self._reconnects.pause_s(error, line.address)
                    self._reconnecting(error, pause_s)
                else:
                    continue
                finally:
                    backlog.lost()
            await asyncio.sleep(pause_s)

    async def _connection(self, line: Line[grpc.aio.Channel]) -> None:
        """Send and receive until every answer is there, or the stream ends.

        Raises:
            UnderstudyError: What it ended with.
        """
        self._line = line
        call = stub(line.connection).DetectStream(self._requests(line), metadata=self._metadata)
        try:
            async for response in call:
                self._backlog.answered(response)
                self._reconnects.worked()
        except grpc.RpcError as error:
            raise failure(error, line, self._lines) from error
        finally:
            call.cancel()
            # gRPC leaves the requests of a call that has ended waiting for the next frame.
            self._line = None
            self._backlog.wake()
        if not self._backlog.all_answered:
            raise BackendUnavailable(f"{line.address}: the stream ended before its last answer")

    async def _requests(self, line: Line[grpc.aio.Channel]) -> AsyncIterator[wire.DetectRequest]:
        """Yield the frames of one connection; gRPC takes one when the last has gone."""
        backlog = self._backlog
        while self._line is line:
            await backlog.until(
                lambda: self._line is not line or backlog.to_send or backlog.all_sent
            )
            if self._line is line and backlog.to_send:
                yield backlog.send()
            elif backlog.all_sent:
                return
