"""Clients over gRPC: for cameras, scripts and the demo. Over HTTP, see `serving.http_client`.

    with DetectClient("127.0.0.1:8090", key) as client:
        for found in client.detect(DetectRequest(image=jpeg, camera_id="gate-7")).detections:
            ...

Every failure is one of `serving.errors`: `Overloaded` says when to try again, `BackendUnavailable`
that nobody answered at the address.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import grpc

from proto.wire.v1 import detection_pb2 as wire
from proto.wire.v1 import detection_pb2_grpc
from serving.client_errors import rebuilt
from serving.errors import (
    BackendUnavailable,
    DeadlineExceeded,
    ErrorInfo,
    ImageTooLarge,
    UnderstudyError,
    UpstreamError,
)

_ERROR_KEY = "understudy-error-bin"
_RETRY_KEY = "grpc-retry-pushback-ms"
_TIMEOUT_KEY = "x-timeout-ms"
_OPTIONS = (("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_timeout_ms", 10_000))


class DetectClient:
    """A blocking client; a context manager. Its methods may be called from many threads.

    Args:
        address: HOST:PORT of the gRPC listener.
        key: API key of scope detect or more; None where the server asks for none.
    """

    def __init__(self, address: str, key: str | None) -> None:
        self._address = address
        self._metadata = _metadata(key)
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._stub = detection_pb2_grpc.DetectionServiceStub(self._channel)  # type: ignore[no-untyped-call] # generated

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
        """Close the connection."""
        self._channel.close()

    def detect(
        self, request: wire.DetectRequest, *, timeout_s: float = 10.0
    ) -> wire.DetectResponse:
        """Have one frame answered.

        Raises:
            UnderstudyError: What the server told, or `BackendUnavailable` when nobody answers.
        """
        try:
            response: wire.DetectResponse = self._stub.Detect(
                request, metadata=self._metadata, timeout=timeout_s
            )
        except grpc.RpcError as error:
            raise _error_of(error, self._address) from error
        return response

    def stream(
        self, requests: Iterable[wire.DetectRequest], *, frame_timeout_s: float | None = None
    ) -> Iterator[wire.DetectResponse]:
        """Have a camera's frames answered over one connection, in order.

        Args:
            requests: Read in a thread of gRPC's, only as fast as the server takes them.
            frame_timeout_s: For each frame; None: the route's own.

        Yields:
            An answer for each frame; one that failed has `error` set.

        Raises:
            UnderstudyError: The stream as a whole failed, or nobody answers.
        """
        metadata = _with_timeout(self._metadata, frame_timeout_s)
        try:
            yield from self._stub.DetectStream(iter(requests), metadata=metadata)
        except grpc.RpcError as error:
            raise _error_of(error, self._address) from error


class AsyncDetectClient:
    """The same for asyncio; an async context manager, of the loop it was entered in.

    Args:
        address: HOST:PORT of the gRPC listener.
        key: API key of scope detect or more; None where the server asks for none.
    """

    def __init__(self, address: str, key: str | None) -> None:
        self._address = address
        self._metadata = _metadata(key)
        self._channel: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        self._channel = grpc.aio.insecure_channel(self._address, options=_OPTIONS)
        self._stub = detection_pb2_grpc.DetectionServiceStub(self._channel)  # type: ignore[no-untyped-call] # generated
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._channel is not None:
            await self._channel.close(None)

    async def detect(
        self, request: wire.DetectRequest, *, timeout_s: float = 10.0
    ) -> wire.DetectResponse:
        """Have one frame answered; raises as `DetectClient.detect`."""
        try:
            response: wire.DetectResponse = await self._stub.Detect(
                request, metadata=self._metadata, timeout=timeout_s
            )
        except grpc.RpcError as error:
            raise _error_of(error, self._address) from error
        return response

    async def stream(
        self,
        requests: AsyncIterable[wire.DetectRequest],
        *,
        frame_timeout_s: float | None = None,
    ) -> AsyncIterator[wire.DetectResponse]:
        """Have a camera's frames answered in order; yields and raises as `DetectClient.stream`."""
        metadata = _with_timeout(self._metadata, frame_timeout_s)
        try:
            async for response in self._stub.DetectStream(aiter(requests), metadata=metadata):
                yield response
        except grpc.RpcError as error:
            raise _error_of(error, self._address) from error


Metadata = tuple[tuple[str, str], ...]


def _metadata(key: str | None) -> Metadata:
    return () if key is None else (("authorization", f"Bearer {key}"),)


def _with_timeout(metadata: Metadata, timeout_s: float | None) -> Metadata:
    if timeout_s is None:
        return metadata
    return (*metadata, (_TIMEOUT_KEY, str(round(timeout_s * 1000))))


def _error_of(error: grpc.RpcError, address: str) -> UnderstudyError:
    """Return what the call's end stands for: the server's own word, else what gRPC says."""
    if not isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        return UpstreamError(f"{address}: {error}")
    pairs: Iterable[Any] = error.trailing_metadata() or ()
    trailing: dict[str, str | bytes] = dict(pairs)
    told = trailing.get(_ERROR_KEY)
    if isinstance(told, bytes):
        said = wire.Error.FromString(told)
        retry_ms = float(trailing.get(_RETRY_KEY, 1000))
        info = ErrorInfo(said.code, said.message, said.field)
        return rebuilt(info, retry_after_s=retry_ms / 1000)
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        # Overload comes with details; without them the message was larger than gRPC lets in.
        return ImageTooLarge("image", f"image: {address}: {error.details()}")
    kinds: dict[grpc.StatusCode, type[UnderstudyError]] = {
        grpc.StatusCode.UNAVAILABLE: BackendUnavailable,
        grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    }
    kind = kinds.get(error.code(), UpstreamError)
    return kind(f"{address}: {error.code().name}: {error.details()}")
