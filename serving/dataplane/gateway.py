"""What happens to a frame: the one use case, whichever way the frame came in."""

import time
from typing import Protocol

from proto.wire.v1 import detection_pb2 as wire
from serving.dataplane.admission import Lane
from serving.dataplane.allowances import Allowances
from serving.dataplane.answers import Answerer, Spent, answer
from serving.dataplane.calls import Call
from serving.dataplane.deadline import Deadline
from serving.dataplane.fallback import Fallback
from serving.dataplane.fence import Fence
from serving.dataplane.frame_log import FrameLog
from serving.dataplane.frames import Frame, FrameLimits, check
from serving.dataplane.parts import Part
from serving.dataplane.patience import Patience, Waiter
from serving.dataplane.route_table import RouteTable
from serving.dataplane.routing import forced, header_of, pick
from serving.dataplane.sender import Sender, Sent
from serving.dataplane.traffic import Traffic
from serving.dataplane.watcher import RouteWatcher
from serving.errors import Overloaded, PermissionDenied, UnderstudyError, UpstreamError
from serving.logs.frame_note import FrameNote, note_arm, noted
from serving.store.values import Arm, Release, Route, Scope
from serving.torchserve.inference import WorkerReply
from serving.tracing.tracing import Tracing, Untraced

__all__ = ["Call", "Gateway", "ShadowHook"]


class ShadowHook(Protocol):
    """Has some frames answered by a second arm too, unheard."""

    def offer(
        self, frame: Frame, *, table: RouteTable, route: Route, arm: Arm, reply: WorkerReply
    ) -> None:
        """Take note of an answered frame; never awaits.

        Args:
            frame: What was answered.
            table: As of now.
            route: Of the frame, from the table.
            arm: Who answered.
            reply: What it said.
        """


class Gateway:
    """Answers frames. Stateless but for who is in flight; safe to call from many tasks of one loop.

    Args:
        routes: The desired state, kept fresh by someone else.
        fence: Whether this gateway may send at all.
        sender: Sends a frame to a release.
        fallback: Who stands in for an arm that fails or is full.
        patience: Who waits for an arm that is down.
        traffic: Where every end is told.
        limits: What a frame may be.
        allowances: How many frames keys and cameras may have answered.
        shadow: Is shown what was answered.
        log: Says which frames failed or were slow.
        tracing: Is told of each frame's steps.
    """

    def __init__(
        self,
        *,
        routes: RouteWatcher,
        fence: Fence,
        sender: Sender,
        fallback: Fallback,
        patience: Patience,
        traffic: Traffic,
        limits: FrameLimits,
        allowances: Allowances | None = None,
        shadow: ShadowHook | None = None,
        log: FrameLog | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._routes = routes
        self._fence = fence
        self._sender = sender
        self._fallback = fallback
        self._patience = patience
        self._traffic = traffic
        self._allowances = allowances or Allowances()
        self._shadow = shadow
        self._log = log or FrameLog()
        self._tracing = tracing or Untraced()
        self.limits = limits

    async def detect(self, request: wire.DetectRequest, call: Call) -> wire.DetectResponse:
        """Answer one frame.

        Cancelling it before the frame was sent to a worker drops the frame.

        Raises:
            RequestError: The request breaks a limit, or its key does not reach as far.
            Overloaded: The release has as much work as it may hold; its subclass RateLimited: the
                key or the camera has had its share.
            DeadlineExceeded: The deadline passed; while waiting for a place, nothing was sent.
            UpstreamError: The worker or TorchServe failed, or no route is set.
        """
        started = time.monotonic()
        note = FrameNote(call.request_id, request.camera_id, request.route)
        with noted(note), self._tracing.frame(call, request):
            try:
                frame = check(request, self.limits)
                self._allowances.take(call, frame.camera_id)
                response = await self._perform(frame, call, started)
            except BaseException as error:
                self._log.failed(error, time.monotonic() - started)
                raise
            self._log.answered(response, time.monotonic() - started)
            self._tracing.answered(response)
        response.request_id = call.request_id
        return response

    async def _perform(self, frame: Frame, call: Call, started: float) -> wire.DetectResponse:
        """Have the frame answered by its arm, by another in its stead, or by its arm later."""
        part = await self._cast(frame, call, started)
        self._fallback.earn(part.route)
        waiter = self._patience.begin()
        while True:
            try:
                return await self._play(part, frame, started)
            except (UpstreamError, Overloaded) as error:
                stood_in = await self._mend(part, frame, started, error, waiter)
            if stood_in is not None:
                return stood_in
            part = await self._cast(frame, call, started)

    async def _cast(self, frame: Frame, call: Call, started: float) -> Part:
        """Read the route and count the frame for its arm; the caller plays the part at once."""
        with self._tracing.step("admission"):
            await self._fence.hold(call.deadline)
        # From here until the part is sent or waits for its place nothing may await: a drain counts
        # on it, see InFlight.
        table = self._routes.table
        route = table.route(frame.route)
        arm = _choose(route, frame, call)
        release = table.release(arm.release)
        self._sender.count(release.key)
        self._note(arm, release)
        return Part(
            route=route,
            revision=table.revision_of(route.name),
            arm=arm,
            release=release,
            deadline=call.deadline or Deadline(started + route.timeout_s),
            forced=bool(frame.arm),
        )

    async def _play(
        self, part: Part, frame: Frame, started: float, taken: Lane | None = None
    ) -> wire.DetectResponse:
        """Have a counted frame answered by its part's arm; what can be mended is not told yet."""
        try:
            sent = await self._sender.send(frame, part.release, part.deadline, taken)
            spent = Spent(time.monotonic() - started, sent.queue_s, sent.returned.upstream_s)
            response = answer(sent.returned.reply, frame, _answerer(part, sent), spent)
        except (UpstreamError, Overloaded):
            raise
        except BaseException as error:
            self._traffic.failed(part, frame, error, time.monotonic() - started)
            raise
        self._traffic.answered(part, frame, sent, spent.total_s)
        self._show_shadow(part, frame, sent)
        return response

    async def _mend(
        self,
        part: Part,
        frame: Frame,
        started: float,
        error: UpstreamError | Overloaded,
        waiter: Waiter,
    ) -> wire.DetectResponse | None:
        """Return the answer of another arm; None: the frame's own arm should be tried again.

        Raises:
            UnderstudyError: Neither; `error`, as a rule.
        """
        # The version went away between our last look at the route and the worker: look again.
        stale = waiter.is_newly_stale(error)
        if stale and await self._routes.try_refresh(part.deadline.remaining_s()):
            return None
        response = await self._hand_over(part, frame, started, error)
        if response is not None:
            return response
        try:
            await waiter.wait(part.release.key, error, part.deadline)
        except BaseException as end:
            self._traffic.failed(part, frame, end, time.monotonic() - started)
            raise
        return None

    async def _hand_over(
        self, part: Part, frame: Frame, started: float, error: UnderstudyError
    ) -> wire.DetectResponse | None:
        """Return the fallback arm's answer; None where it may not or cannot give one."""
        if not self._fence.is_open():
            return None
        handed = self._fallback.hand_over(part, self._routes.table, error)
        if handed is None:
            return None
        stand_in, lane = handed
        self._sender.count(stand_in.release.key)
        self._note(stand_in.arm, stand_in.release)
        failed_after_s = time.monotonic() - started
        try:
            response = await self._play(stand_in, frame, started, lane)
        except (UpstreamError, Overloaded) as failed:
            self._traffic.failed(stand_in, frame, failed, time.monotonic() - started)
            # What follows is again the frame's own arm's: the error that its caller gets is.
            self._note(part.arm, part.release)
            return None
        except BaseException:
            self._traffic.failed(part, frame, error, failed_after_s)
            raise
        self._traffic.failed(part, frame, error, failed_after_s)
        return response

    def _note(self, arm: Arm, release: Release) -> None:
        """Have log and trace name who is to answer."""
        note_arm(arm.name, release.key)
        self._tracing.cast(arm.name, release.key)

    def _show_shadow(self, part: Part, frame: Frame, sent: Sent) -> None:
        if self._shadow is None or part.kind != "primary" or not self._fence.is_open():
            return
        table = self._routes.table
        # Only while the route is the one that was split by: else the two arms are not a pair.
        if table.revision_of(part.route.name) == part.revision:
            self._shadow.offer(
                frame, table=table, route=part.route, arm=part.arm, reply=sent.returned.reply
            )


def _choose(route: Route, frame: Frame, call: Call) -> Arm:
    if not frame.arm:
        return pick(route, _key_of(route, frame, call))
    if not call.scope.reaches(Scope.ADMIN):
        raise PermissionDenied(
            f"arm: forcing an arm needs a key of scope {Scope.ADMIN}, this one has {call.scope}; "
            "leave `arm` out and the route chooses"
        )
    return forced(route, frame.arm)


def _key_of(route: Route, frame: Frame, call: Call) -> str:
    header = header_of(route)
    if header is not None:
        return call.headers.get(header, "")
    return frame.camera_id if route.sticky == "camera" else call.request_id


def _answerer(part: Part, sent: Sent) -> Answerer:
    return Answerer(
        arm=part.arm.name,
        release=part.release,
        backend=sent.returned.backend,
        stood_in_for="" if part.stood_in_for is None else part.stood_in_for.name,
    )
