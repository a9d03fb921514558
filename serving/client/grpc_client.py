"""Clients over gRPC: for cameras, scripts and the demo. Over HTTP, see `serving.http_client`.

    with DetectClient("127.0.0.1:8090,127.0.0.1:8092", key) as client:
        for found in client.detect(DetectRequest(image=jpeg, camera_id="gate-7")).detections:
            ...

Every failure is one of `serving.errors`. What a gateway, a worker or the network lost is asked
again, at another address or on another connection, until the deadline; so is what was refused as
too much, after the time that the server names. See `serving.client.retries`.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Self

import grpc

from proto.wire.v1 import detection_pb2 as wire
from serving.client.asking import ask, ask_async
from serving.client.lines import Line, Lines, split
from serving.client.live import LiveStream, Reconnecting
from serving.client.retries import RetryBudget
from serving.client.wire import (
    failure,
    metadata_of,
    open_async_channel,
    open_channel,
    stream_metadata,
    stub,
)
from serving.errors import BackendUnavailable
from serving.tls.client_tls import ClientTls


class DetectClient:
    """A blocking client; a context manager. Its methods may be called from many threads.

    Args:
        address: HOST:PORT of a gateway's gRPC listener, or several: separated by commas or a list.
            grpcs://HOST:PORT speaks TLS, grpc://HOST:PORT in clear.
        key: API key of scope detect or more; None where the server asks for none.
        retries: Bounds how much is asked again; None: the client's own budget.
        tls: Whom to trust and who the client is; None: in clear, and where the address says grpcs://
            whom this machine trusts.
    """

    def __init__(
        self,
        address: str | Iterable[str],
        key: str | None,
        *,
        retries: RetryBudget | None = None,
        tls: ClientTls | None = None,
    ) -> None:
        self._key = key
        self._retries = retries or RetryBudget()
        self._lines: Lines[grpc.Channel] = Lines(
            split(address),
            partial(open_channel, tls=tls),
            lambda channel: channel.close(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._lines.close()

    def detect(
        self, request: wire.DetectRequest, *, timeout_s: float = 10.0
    ) -> wire.DetectResponse:
        """Have one frame answered; asked again, where that may help, until `timeout_s` is over.

        Raises:
            UnderstudyError: What the server told, or `BackendUnavailable` when nobody answers.
        """
        return ask(self._lines, self._retries, timeout_s, partial(self._once, request))

    def stream(
        self,
        requests: Iterable[wire.DetectRequest],
        *,
        frame_timeout_s: float | None = None,
        every_frame: bool = False,
    ) -> Iterator[wire.DetectResponse]:
        """Have a camera's frames answered over one connection, in order.

        Args:
            requests: Read in a thread of gRPC's, only as fast as the server takes them.
            frame_timeout_s: For each frame; None: the route's own.
            every_frame: Hold the sender back rather than drop frames that newer ones overtake.

        Yields:
            An answer for each frame; one that failed has `error` set, one that was overtaken
            `dropped`.

        Raises:
            UnderstudyError: The stream as a whole failed, or nobody answers.
        """
        metadata = stream_metadata(self._key, frame_timeout_s, every_frame)
        with self._lines.line() as line:
            try:
                yield from stub(line.connection).DetectStream(iter(requests), metadata=metadata)
            except grpc.RpcError as error:
                raise failure(error, line, self._lines) from error

    def _once(
        self, request: wire.DetectRequest, line: Line[grpc.Channel], timeout_s: float
    ) -> wire.DetectResponse:
        try:
            response: wire.DetectResponse = stub(line.connection).Detect(
                request, metadata=metadata_of(self._key), timeout=timeout_s
            )
        except grpc.RpcError as error:
            raise failure(error, line, self._lines) from error
        return response


class AsyncDetectClient:
    """The same for asyncio; an async context manager, of the loop it was entered in.

    Args:
        address: HOST:PORT of a gateway's gRPC listener, or several: separated by commas or a list.
            grpcs://HOST:PORT speaks TLS, grpc://HOST:PORT in clear.
        key: API key of scope detect or more; None where the server asks for none.
        retries: Bounds how much is asked again; None: the client's own budget.
        tls: Whom to trust and who the client is; None: in clear, and where the address says grpcs://
            whom this machine trusts.
    """

    def __init__(
        self,
        address: str | Iterable[str],
        key: str | None,
        *,
        retries: RetryBudget | None = None,
        tls: ClientTls | None = None,
    ) -> None:
        self._addresses = split(address)
        self._key = key
        self._tls = tls
        self._retries = retries or RetryBudget()
        self._opened: Lines[grpc.aio.Channel] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._opened = Lines(
            self._addresses, partial(open_async_channel, tls=self._tls), self._close
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lines.close()
        await asyncio.gather(*self._closing)

    async def detect(
        self, request: wire.DetectRequest, *, timeout_s: float = 10.0
    ) -> wire.DetectResponse:
        """Have one frame answered; asks again and raises as `DetectClient.detect`."""
        return await ask_async(self._lines, self._retries, timeout_s, partial(self._once, request))

    async def stream(
        self,
        requests: AsyncIterable[wire.DetectRequest],
        *,
        frame_timeout_s: float | None = None,
        every_frame: bool = False,
    ) -> AsyncIterator[wire.DetectResponse]:
        """Have a camera's frames answered in order; yields and raises as `DetectClient.stream`."""
        metadata = stream_metadata(self._key, frame_timeout_s, every_frame)
        with self._lines.line() as line:
            call = stub(line.connection).DetectStream(aiter(requests), metadata=metadata)
            try:
                async for response in call:
                    yield response
            except grpc.RpcError as error:
                raise failure(error, line, self._lines) from error

    def live(
        self,
        requests: AsyncIterable[wire.DetectRequest],
        *,
        frame_timeout_s: float | None = None,
        every_frame: bool = False,
        patience_s: float = 60.0,
        reconnecting: Reconnecting = lambda _error, _pause_s: None,
    ) -> AsyncIterator[wire.DetectResponse]:
        """Have a camera's frames answered in order, connecting again whenever the stream ends.

        Each request gets exactly one answer. What was unanswered when a connection broke: the
        newest frame is asked again, the older ones are answered as `dropped`, as are those that a
        newer one overtook before there was a connection. With `every_frame` all are asked again.

        Args:
            requests: The camera's; read all the while.
            frame_timeout_s: For each frame; None: the route's own.
            every_frame: Hold the sender back rather than drop frames.
            patience_s: How long nobody may answer; before the first answer it is two seconds.
            reconnecting: Told why, and after how many seconds, it connects again.

        Yields:
            An answer for each frame; one that failed has `error` set, one that was overtaken
            `dropped`.

        Raises:
            UnderstudyError: Connecting again is of no use: nobody answers, the key is no good, or
                another sender has taken over the camera.
        """
        return LiveStream(
            self._lines,
            stream_metadata(self._key, frame_timeout_s, every_frame),
            every_frame=every_frame,
            patience_s=patience_s,
            reconnecting=reconnecting,
        ).answers(requests)

    @property
    def _lines(self) -> Lines[grpc.aio.Channel]:
        if self._opened is None:
            raise BackendUnavailable("the client is not open: use it with `async with`")
        return self._opened

    async def _once(
        self, request: wire.DetectRequest, line: Line[grpc.aio.Channel], timeout_s: float
    ) -> wire.DetectResponse:
        try:
            response: wire.DetectResponse = await stub(line.connection).Detect(
                request, metadata=metadata_of(self._key), timeout=timeout_s
            )
        except grpc.RpcError as error:
            raise failure(error, line, self._lines) from error
        return response

    def _close(self, channel: grpc.aio.Channel) -> None:
        closing = asyncio.get_running_loop().create_task(channel.close(None))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
