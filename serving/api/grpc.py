"""gRPC: thin over the gateway."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Protocol

import grpc

from proto.wire.v1 import detection_pb2 as wire
from proto.wire.v1 import detection_pb2_grpc
from serving.access.authenticator import Authenticator
from serving.api.auth import metadata_key
from serving.api.camera_stream import CameraStream
from serving.api.grpc_errors import REQUEST_ID_KEY, Context, abort, refuse
from serving.api.image_budget import ImageBudget
from serving.api.request_ids import request_id
from serving.api.stream_ends import Claims, Ending, StreamLimits
from serving.api.stream_frames import TIMEOUT_KEY, StreamFrames
from serving.api.timeouts import LONGEST_TIMEOUT_S, deadline_of
from serving.dataplane.calls import Call
from serving.dataplane.deadline import Deadline
from serving.errors import InvalidField
from serving.metrics.gateway.metrics import Metrics
from serving.store.values import Scope

# What a stream is to do when frames come faster than answers.
WHEN_BEHIND_KEY = "x-when-behind"
_DROP, _WAIT = "drop", "wait"
_FAREWELL_S = 5.0


class Answers(Protocol):
    """What answers a frame: `Gateway`, seen from here."""

    async def detect(self, request: wire.DetectRequest, call: Call) -> wire.DetectResponse:
        """Answer one frame."""


class DetectionService(detection_pb2_grpc.DetectionServiceServicer):
    """The wire's service.

    Args:
        gateway: Answers.
        authenticator: Checks keys.
        metrics: Counts answers.
        stopping: Set when the server drains: streams then end after what is under way.
        budget: Of the gateway's images, shared with HTTP.
        streams: What a stream may hold and how long it may last.
    """

    def __init__(
        self,
        gateway: Answers,
        authenticator: Authenticator,
        metrics: Metrics,
        stopping: asyncio.Event,
        *,
        budget: ImageBudget | None = None,
        streams: StreamLimits | None = None,
    ) -> None:
        self._gateway = gateway
        self._authenticator = authenticator
        self._metrics = metrics
        self._stopping = stopping
        self._budget = budget or ImageBudget()
        self._streams = streams or StreamLimits()
        self._claims = Claims()
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
    ) -> None:
        """Answer a camera's frames in order; a frame's failure is told in its answer."""
        with self._under_way():
            await self._stream(request_iterator, context)

    async def _detect(self, request: wire.DetectRequest, context: Context) -> wire.DetectResponse:
        metadata = _metadata(context)
        id_ = request_id(metadata.get(REQUEST_ID_KEY))
        try:
            deadline = _deadline(context, metadata)
            with self._budget.account() as account:
                account.take(len(request.image))
                response = await self._answer(request, id_, deadline, context=context)
        except Exception as error:  # noqa: BLE001 - `refuse` logs what is not ours
            self._metrics.count_answer("grpc", error)
            refuse(context, error, id_)
            return wire.DetectResponse()
        except asyncio.CancelledError as left:
            self._metrics.count_answer("grpc", left)
            raise
        self._metrics.count_answer("grpc", None)
        context.set_trailing_metadata(((REQUEST_ID_KEY, id_),))
        return response

    async def _stream(
        self, request_iterator: AsyncIterator[wire.DetectRequest], context: Context
    ) -> None:
        metadata = _metadata(context)
        try:
            # What is wrong with the call ends it before its first frame.
            deadline_of(TIMEOUT_KEY, metadata.get(TIMEOUT_KEY))
            every_frame = _wants_every_frame(metadata)
            with self._budget.account() as account:
                ending = Ending()
                frames = StreamFrames(
                    answer=partial(self._answer, context=context, streamed=True),
                    claims=self._claims,
                    account=account,
                    metrics=self._metrics,
                    timeout_text=metadata.get(TIMEOUT_KEY),
                    ending=ending,
                )
                stream = CameraStream(
                    frames,
                    ending=ending,
                    check_key=partial(
                        self._authenticator.authenticate, _key(context), Scope.DETECT
                    ),
                    limits=self._streams,
                    every_frame=every_frame,
                )
                await stream.run(aiter(request_iterator), context.write, self._stopping)
        except grpc.aio.InternalError:
            return  # the camera has left, and its answer could not
        except Exception as error:  # noqa: BLE001 - `abort` logs what is not ours
            await self._end(context, error, request_id(metadata.get(REQUEST_ID_KEY)))

    async def _end(self, context: Context, error: Exception, id_: str) -> None:
        # Behind an answer that the other end does not take, its end would wait for ever.
        with suppress(TimeoutError, grpc.aio.InternalError):
            async with asyncio.timeout(_FAREWELL_S):
                await abort(context, error, id_)

    async def _answer(
        self,
        request: wire.DetectRequest,
        id_: str,
        deadline: Deadline | None,
        *,
        context: Context,
        streamed: bool = False,
    ) -> wire.DetectResponse:
        # Again for each frame of a stream: a revoked key stops a camera that is already connected.
        key = await self._authenticator.authenticate(_key(context), Scope.DETECT)
        headers = _metadata(context)
        call = Call.of(key, id_, deadline, headers, streamed=streamed)
        return await self._gateway.detect(request, call)


def _wants_every_frame(metadata: dict[str, str]) -> bool:
    wanted = metadata.get(WHEN_BEHIND_KEY, _DROP)
    if wanted not in {_DROP, _WAIT}:
        raise InvalidField(
            WHEN_BEHIND_KEY, f"{WHEN_BEHIND_KEY}: {wanted[:32]!r} is neither {_DROP} nor {_WAIT}"
        )
    return wanted == _WAIT


def _metadata(context: Context) -> dict[str, str]:
    pairs = context.invocation_metadata() or ()
    return {name: value for name, value in pairs if isinstance(value, str)}


def _key(context: Context) -> str | None:
    return metadata_key(_metadata(context).items())


def _deadline(context: Context, metadata: dict[str, str]) -> Deadline | None:
    """Return the sooner of gRPC's own deadline and the one in the metadata."""
    remaining_s = context.time_remaining()
    asked = deadline_of(TIMEOUT_KEY, metadata.get(TIMEOUT_KEY))
    if remaining_s is None or remaining_s > LONGEST_TIMEOUT_S:
        return asked
    own = Deadline.after(remaining_s)
    return own if asked is None or own.at < asked.at else asked
