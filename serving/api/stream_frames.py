"""One stream's frames: whose they are, what they hold and what they are told."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from proto.wire.v1 import detection_pb2 as wire
from serving.api.grpc_errors import wire_error
from serving.api.image_budget import Account
from serving.api.request_ids import request_id
from serving.api.stream_ends import Camera, Claims, Ending
from serving.api.timeouts import deadline_of
from serving.dataplane.deadline import Deadline
from serving.dataplane.frames import MAX_NAME_LENGTH
from serving.errors import InvalidField, Overloaded, Unauthenticated
from serving.metrics.gateway.metrics import Metrics
from serving.store.values import ApiKey

TIMEOUT_KEY = "x-timeout-ms"

Answer = Callable[[wire.DetectRequest, str, Deadline | None], Awaitable[wire.DetectResponse]]


@dataclass(frozen=True)
class StreamFrame:
    """A frame as it was read.

    Attributes:
        request: Without its image where `refused` is set.
        size: Bytes taken of the budget for it.
        deadline: From when it was read; None: the route's own timeout.
        refused: Why it will not be answered.
    """

    request: wire.DetectRequest
    size: int
    deadline: Deadline | None
    refused: Exception | None = None


class StreamFrames:
    """A stream's frames, from reading to answering.

    Args:
        answer: Answers a frame under a request id, until a deadline.
        claims: Of the gateway, shared by all its streams.
        account: What the images take.
        metrics: Counts frames.
        timeout_text: Milliseconds for each frame, as the camera wrote them; None: the route's own.
        ending: Of the stream.

    Attributes:
        heard_at: When the last frame came, on `time.monotonic`.
    """

    def __init__(
        self,
        *,
        answer: Answer,
        claims: Claims,
        account: Account,
        metrics: Metrics,
        timeout_text: str | None,
        ending: Ending,
    ) -> None:
        self._answer = answer
        self._claims = claims
        self._account = account
        self._metrics = metrics
        self._timeout_text = timeout_text
        self._ending = ending
        self._camera: Camera | None = None
        self.heard_at = time.monotonic()

    async def read(
        self, requests: AsyncIterator[wire.DetectRequest], key: ApiKey
    ) -> AsyncIterator[StreamFrame]:
        """Yield the requests as frames, each with its share of the budget taken."""
        async for request in requests:
            self.heard_at = time.monotonic()
            yield self._taken(request, key)

    def leave(self) -> None:
        """Give up the camera, unless another stream has taken it over."""
        if self._camera is not None:
            self._claims.leave(self._camera, self._ending)

    async def answered(self, frame: StreamFrame) -> wire.DetectResponse:
        """Answer a frame; its failure is told in its answer.

        Raises:
            Unauthenticated: The key ended, which concerns the connection.
        """
        if frame.refused is not None:
            return self._refused(frame.request, frame.refused)
        id_ = request_id(None)
        try:
            response = await self._answer(frame.request, id_, frame.deadline)
        except Exception as error:
            self._count("failed", error)
            if isinstance(error, Unauthenticated):
                raise
            return _response(frame.request, id_, error=wire_error(error, id_))
        finally:
            self._account.give_back(frame.size)
        self._count("answered", None)
        return response

    def overtaken(self, frame: StreamFrame) -> wire.DetectResponse:
        """Return what a frame is told that a newer one overtook, or why it was refused anyway."""
        if frame.refused is not None:
            return self._refused(frame.request, frame.refused)
        self._account.give_back(frame.size)
        self._metrics.stream_frames.labels("dropped").inc()
        return _response(frame.request, request_id(None), dropped=True)

    def _refused(self, request: wire.DetectRequest, error: Exception) -> wire.DetectResponse:
        self._count("failed", error)
        id_ = request_id(None)
        return _response(request, id_, error=wire_error(error, id_))

    def _count(self, outcome: str, error: Exception | None) -> None:
        self._metrics.stream_frames.labels(outcome).inc()
        self._metrics.count_answer("stream", error)

    def _taken(self, request: wire.DetectRequest, key: ApiKey) -> StreamFrame:
        size = len(request.image)
        try:
            _check_names(request)
            self._check_camera(request, key)
            self._account.take(size)
        except (InvalidField, Overloaded) as error:
            request.ClearField("image")
            return StreamFrame(request, 0, None, error)
        return StreamFrame(request, size, deadline_of(TIMEOUT_KEY, self._timeout_text))

    def _check_camera(self, request: wire.DetectRequest, key: ApiKey) -> None:
        """Take the first frame's camera and route for the stream's; refuse any other."""
        asked = Camera(key.id, request.route, request.camera_id)
        if self._camera is None:
            self._camera = asked
            if asked.camera_id:
                self._claims.take(asked, self._ending)
        elif asked != self._camera:
            field = "route" if asked.camera_id == self._camera.camera_id else "camera_id"
            raise InvalidField(
                field,
                f"{field}: this stream is of {self._camera}, as its first frame said, not of "
                f"{asked}; open a stream for each",
            )


def _check_names(request: wire.DetectRequest) -> None:
    """Refuse names that no route, camera or frame has: an answer would carry them back."""
    for field in ("camera_id", "frame_id", "route"):
        length = len(getattr(request, field))
        if length > MAX_NAME_LENGTH:
            request.ClearField(field)
            raise InvalidField(
                field, f"{field}: {length} characters, and at most {MAX_NAME_LENGTH} are taken"
            )


def _response(
    request: wire.DetectRequest,
    id_: str,
    *,
    error: wire.Error | None = None,
    dropped: bool = False,
) -> wire.DetectResponse:
    return wire.DetectResponse(
        camera_id=request.camera_id,
        frame_id=request.frame_id,
        request_id=id_,
        error=error,
        dropped=dropped,
    )
