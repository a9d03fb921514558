"""gRPC: thin over the gateway."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial

from proto.wire.v1 import detection_pb2 as wire
from proto.wire.v1 import detection_pb2_grpc
from serving.api.auth import metadata_key
from serving.api.grpc_errors import REQUEST_ID_KEY, Context, abort, wire_error
from serving.api.request_ids import request_id
from serving.api.streams import InOrder
from serving.api.timeouts import LONGEST_TIMEOUT_S, deadline_of
from serving.dataplane.deadline import Deadline
from serving.dataplane.gateway import Call, Gateway
from serving.errors import BackendUnavailable, Unauthenticated
from serving.keys import Authenticator
from serving.metrics import Metrics
from serving.store.values import Scope

TIMEOUT_KEY = "x-timeout-ms"
_STREAM_LIMIT = 8


class DetectionService(detection_pb2_grpc.DetectionServiceServicer):
    """The wire's service.

    Args:
        gateway: Answers.
        authenticator: Checks keys.
        metrics: Counts answers.
        stopping: Set when the server drains: streams then end after what is under way.
    """

    def __init__(
        self,
        gateway: Gateway,
        authenticator: Authenticator,
        metrics: Metrics,
        stopping: asyncio.Event,
    ) -> None:
        self._gateway = gateway
        self._authenticator = authenticator
        self._metrics = metrics
        self._stopping = stopping
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def idle(self) -> None:
        """Wait until no call is under way."""
        await self._idle.wait()

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        self._calls += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._calls -= 1
            if self._calls == 0:
                self._idle.set()

    async def Detect(  # noqa: N802 - the wire's name
        self, request: wire.DetectRequest, context: Context
    ) -> wire.DetectResponse:
        """Answer one frame."""
        with self._under_way():
            return await self._detect(request, context)

    async def DetectStream(  # noqa: N802 - the wire's name
        self, request_iterator: AsyncIterator[wire.DetectRequest], context: Context
    ) -> AsyncIterator[wire.DetectResponse]:
        """Answer a camera's frames in order; a frame's failure is told in its answer."""
        with self._under_way():
            async for response in self._stream(request_iterator, context):
                yield response

    async def _detect(self, request: wire.DetectRequest, context: Context) -> wire.DetectResponse:
        metadata = _metadata(context)
        id_ = request_id(metadata.get(REQUEST_ID_KEY))
        try:
            response = await self._answer(request, context, id_, _deadline(context, metadata))
        except Exception as error:  # noqa: BLE001 - `abort` logs what is not ours
            self._metrics.count_answer("grpc", error)
            await abort(context, error, id_)
        except asyncio.CancelledError as left:
            self._metrics.count_answer("grpc", left)
            raise
        self._metrics.count_answer("grpc", None)
        context.set_trailing_metadata(((REQUEST_ID_KEY, id_),))
        return response

    async def _stream(
        self, request_iterator: AsyncIterator[wire.DetectRequest], context: Context
    ) -> AsyncIterator[wire.DetectResponse]:
        id_ = request_id(_metadata(context).get(REQUEST_ID_KEY))
        stream = InOrder(
            partial(self._answer_frame, context=context),
            limit=_STREAM_LIMIT,
            stop=self._stopping,
        )
        try:
            # A wrong key ends the stream before its first frame.
            await self._authenticator.authenticate(_key(context), Scope.DETECT)
            async for response in stream.answers(aiter(request_iterator)):
                yield response
        except Exception as error:  # noqa: BLE001 - `abort` logs what is not ours
            await abort(context, error, id_)
        if self._stopping.is_set():
            await abort(context, BackendUnavailable("this server stops: connect again"), id_)

    async def _answer_frame(
        self, request: wire.DetectRequest, *, context: Context
    ) -> wire.DetectResponse:
        id_ = request_id(None)
        try:
            deadline = _frame_deadline(_metadata(context))
            response = await self._answer(request, context, id_, deadline)
        except Exception as error:
            self._metrics.count_answer("stream", error)
            if _ends_stream(error):
                raise
            return wire.DetectResponse(
                camera_id=request.camera_id,
                frame_id=request.frame_id,
                request_id=id_,
                error=wire_error(error, id_),
            )
        self._metrics.count_answer("stream", None)
        return response

    async def _answer(
        self, request: wire.DetectRequest, context: Context, id_: str, deadline: Deadline | None
    ) -> wire.DetectResponse:
        # Again for each frame of a stream: a revoked key stops a camera that is already connected.
        key = await self._authenticator.authenticate(_key(context), Scope.DETECT)
        return await self._gateway.detect(request, Call(id_, key.scope, deadline))


def _ends_stream(error: Exception) -> bool:
    """A key that ended concerns the connection; a forced arm's refusal only its frame."""
    return isinstance(error, Unauthenticated)


def _metadata(context: Context) -> dict[str, str]:
    pairs = context.invocation_metadata() or ()
    return {name: value for name, value in pairs if isinstance(value, str)}


def _key(context: Context) -> str | None:
    return metadata_key(_metadata(context).items())


def _frame_deadline(metadata: dict[str, str]) -> Deadline | None:
    return deadline_of(TIMEOUT_KEY, metadata.get(TIMEOUT_KEY))


def _deadline(context: Context, metadata: dict[str, str]) -> Deadline | None:
    """Return the sooner of gRPC's own deadline and the one in the metadata."""
    remaining_s = context.time_remaining()
    asked = _frame_deadline(metadata)
    if remaining_s is None or remaining_s > LONGEST_TIMEOUT_S:
        return asked
    own = Deadline.after(remaining_s)
    return own if asked is None or own.at < asked.at else asked
