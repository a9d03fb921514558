"""What happens to a frame: the one use case, whichever way the frame came in."""

import asyncio
import time
from dataclasses import dataclass
from functools import partial

from proto.wire.v1 import detection_pb2 as wire
from serving.dataplane.admission import Lane
from serving.dataplane.answers import Spent, answer
from serving.dataplane.deadline import Deadline
from serving.dataplane.frames import Frame, FrameLimits, check
from serving.dataplane.inflight import InFlight
from serving.dataplane.lanes import Lanes
from serving.dataplane.routing import forced, pick
from serving.dataplane.watcher import RouteWatcher
from serving.errors import DeadlineExceeded, PermissionDenied, StaleRoute
from serving.metrics import Metrics
from serving.store.values import Arm, Release, ReleaseKey, Route, Scope
from serving.torchserve.inference import InferenceClient, WorkerReply

# A worker cannot be told to stop. Its place stays taken until it answers, even when nobody waits
# any more, else abandoned work would pile up inside TorchServe; but not for ever.
_ABANDONED_S = 30.0


@dataclass(frozen=True)
class Call:
    """Who asks, and until when.

    Attributes:
        request_id: Told in the answer and in the log.
        scope: Of the caller's key.
        deadline: When the caller stops waiting; None: the route's own timeout.
    """

    request_id: str
    scope: Scope
    deadline: Deadline | None = None


@dataclass(frozen=True)
class _Returned:
    """A worker's reply and how long the call took."""

    reply: WorkerReply
    upstream_s: float


class Gateway:
    """Answers frames. Stateless but for who is in flight; safe to call from many tasks of one loop.

    Args:
        routes: The desired state, kept fresh by someone else.
        backend: Where the workers are.
        in_flight: Counts what each release owes.
        lanes: Who may be sent now.
        metrics: Where everything is counted.
        limits: What a frame may be.
    """

    def __init__(
        self,
        *,
        routes: RouteWatcher,
        backend: InferenceClient,
        in_flight: InFlight,
        lanes: Lanes,
        metrics: Metrics,
        limits: FrameLimits,
    ) -> None:
        self._routes = routes
        self._backend = backend
        self._in_flight = in_flight
        self._lanes = lanes
        self._metrics = metrics
        self.limits = limits

    async def detect(self, request: wire.DetectRequest, call: Call) -> wire.DetectResponse:
        """Answer one frame.

        Cancelling it before the frame was sent to a worker drops the frame.

        Raises:
            RequestError: The request breaks a limit, or its key does not reach as far.
            Overloaded: The release has as much work as it may hold.
            DeadlineExceeded: The deadline passed; while waiting for a place, nothing was sent.
            UpstreamError: The worker or TorchServe failed, or no route is set.
        """
        started = time.monotonic()
        frame = check(request, self.limits)
        try:
            response = await self._attempt(frame, call, started)
        except StaleRoute:
            # The version went away between our last look at the route and the worker: look again.
            await self._routes.refresh()
            response = await self._attempt(frame, call, started)
        response.request_id = call.request_id
        return response

    async def _attempt(self, frame: Frame, call: Call, started: float) -> wire.DetectResponse:
        # From here to `enter` nothing may await: a drain counts on it, see InFlight.
        table = self._routes.table
        route = table.route(frame.route)
        arm = _choose(route, frame, call)
        release = table.release(arm.release)
        self._in_flight.enter(release.key)
        deadline = call.deadline or Deadline(started + route.timeout_s)
        with self._metrics.request(route.name, arm.name, release.key):
            sent, queue_s = await self._send(frame, release, deadline)
            returned = await _in_time(sent, deadline, release.key)
            self._show(release.key, returned, queue_s)
            spent = Spent(time.monotonic() - started, queue_s, returned.upstream_s)
            return answer(returned.reply, frame, arm, release, spent)

    async def _send(
        self, frame: Frame, release: Release, deadline: Deadline
    ) -> tuple["asyncio.Task[_Returned]", float]:
        """Wait for a place, then send; returns the call under way and the seconds waited."""
        lane = self._lanes.of(release)
        waited_from = time.monotonic()
        try:
            await lane.enter(deadline)
        except BaseException:
            self._in_flight.leave(release.key)
            raise
        # A task of its own, so that a caller who leaves does not give the place back too early.
        sent = asyncio.create_task(self._call(frame, release.key, deadline))
        sent.add_done_callback(partial(self._came_back, lane, release.key))
        return sent, time.monotonic() - waited_from

    async def _call(self, frame: Frame, key: ReleaseKey, deadline: Deadline) -> _Returned:
        started = time.monotonic()
        reply = await self._backend.predict(
            key,
            frame.image,
            min_score=frame.min_score,
            max_detections=frame.max_detections,
            timeout_s=max(0.0, deadline.remaining_s()) + _ABANDONED_S,
        )
        return _Returned(reply, time.monotonic() - started)

    def _came_back(self, lane: Lane, key: ReleaseKey, sent: "asyncio.Task[_Returned]") -> None:
        answered = not sent.cancelled() and sent.exception() is None
        lane.leave(service_s=sent.result().upstream_s if answered else None)
        self._in_flight.leave(key)

    def _show(self, key: ReleaseKey, returned: _Returned, queue_s: float) -> None:
        reply = returned.reply
        self._metrics.queue_seconds.labels(key.model, key.version).observe(queue_s)
        self._metrics.show_reply(
            key,
            upstream_s=returned.upstream_s,
            batch=reply.batch,
            stages_ms={
                "decode": reply.decode_ms,
                "preprocess": reply.preprocess_ms,
                "inference": reply.inference_ms,
                "postprocess": reply.postprocess_ms,
            },
        )


def _choose(route: Route, frame: Frame, call: Call) -> Arm:
    if not frame.arm:
        return pick(route, frame.camera_id if route.sticky == "camera" else call.request_id)
    if not call.scope.reaches(Scope.ADMIN):
        raise PermissionDenied(
            f"arm: forcing an arm needs a key of scope {Scope.ADMIN}, this one has {call.scope}; "
            "leave `arm` out and the route chooses"
        )
    return forced(route, frame.arm)


async def _in_time(
    sent: "asyncio.Task[_Returned]", deadline: Deadline, key: ReleaseKey
) -> _Returned:
    try:
        async with asyncio.timeout(deadline.remaining_s()):
            return await asyncio.shield(sent)
    except TimeoutError:
        raise DeadlineExceeded(
            f"{key} did not answer before the deadline; allow more time or send fewer frames"
        ) from None
