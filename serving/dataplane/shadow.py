"""The shadow: a share of the frames goes to a second arm too, whose answer nobody waits for.

It is the first to go without: it takes only places that are free now, leaves half of them to
cameras, holds a bounded number of frames, and never waits. Whatever goes wrong, the camera's answer
has already left.

Frames are drawn by a random number, not by a hash of camera and frame id: a client chooses those,
and one that repeats them (or sends none) would have all its frames compared, or none, for ever. A
frame meets one gateway only, so nothing else has to come to the same draw.
"""

import asyncio
from dataclasses import dataclass
from functools import partial

import numpy as np
import structlog

from serving.dataplane.admission import Lane
from serving.dataplane.comparison import Comparison
from serving.dataplane.deadline import Deadline
from serving.dataplane.frames import Frame
from serving.dataplane.harvest import Harvest
from serving.dataplane.harvest_frame import ArmAnswer
from serving.dataplane.inflight import InFlight
from serving.dataplane.lanes import Lanes
from serving.dataplane.recorder import Recorder
from serving.dataplane.route_table import RouteTable
from serving.dataplane.upstream import Upstream
from serving.dataplane.worker_calls import Returned
from serving.error_info import describe
from serving.errors import UnderstudyError
from serving.logs.frame_note import note_arm
from serving.metrics.arm_labels import ArmLabels
from serving.metrics.gateway.shadow import ShadowMetrics
from serving.store.observations import AgreementSums
from serving.store.values import Arm, Route
from serving.torchserve.inference import WorkerReply
from serving.tracing.tracing import Tracing, Untraced

log = structlog.get_logger(__name__)

# Of the shadow arm's places: left for cameras.
_SPARE = 0.5


@dataclass(frozen=True)
class ShadowLimits:
    """How much a gateway gives to comparing.

    Attributes:
        under_way: Comparisons at once.
        image_bytes: Of the frames they hold, altogether.
        timeout_s: How long the shadow arm has for a frame.
    """

    under_way: int = 32
    image_bytes: int = 64 * 1024 * 1024
    timeout_s: float = 5.0


class Shadow:
    """Compares the arms of a route on frames that one of them has answered.

    Args:
        upstream: Where the workers are.
        in_flight: Counts what each release owes.
        lanes: Who may be sent now.
        recorder: Keeps the windows.
        metrics: For Prometheus.
        harvest: Where frames go on which the arms disagree; None: nowhere.
        limits: Of this gateway.
        seed: Of the draw; None: another each time.
        tracing: Is told of each comparison.
    """

    def __init__(
        self,
        *,
        upstream: Upstream,
        in_flight: InFlight,
        lanes: Lanes,
        recorder: Recorder,
        metrics: ShadowMetrics,
        harvest: Harvest | None = None,
        limits: ShadowLimits | None = None,
        seed: int | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._upstream = upstream
        self._in_flight = in_flight
        self._lanes = lanes
        self._recorder = recorder
        self._metrics = metrics
        self._harvest = harvest
        self._limits = limits or ShadowLimits()
        self._draw = np.random.default_rng(seed)
        self._tracing = tracing or Untraced()
        self._under_way: set[asyncio.Task[float]] = set()
        self._image_bytes = 0
        self._closed = False

    def offer(
        self, frame: Frame, *, table: RouteTable, route: Route, arm: Arm, reply: WorkerReply
    ) -> None:
        """Have a frame answered by the route's shadow arm too, if it is drawn and there is room.

        Not for an answer that another arm gave in the place of the one the split chose. Frames for
        which an arm was forced, and those that the shadow arm itself answered, are passed over.

        Args:
            frame: As it was sent.
            table: As of now, read in the same stretch: what is counted here, a drain waits for.
            route: Of the table; the one that the frame was sent under.
            arm: Who answered the camera.
            reply: With what.
        """
        shadow = None if route.shadow is None else route.arm(route.shadow.arm)
        if route.shadow is None or shadow is None or shadow.name == arm.name or frame.arm:
            return
        if self._closed or self._draw.random() >= route.shadow.rate:
            return
        release, primary = table.releases.get(shadow.release), table.releases.get(arm.release)
        if release is None or primary is None:
            return
        revision = table.revision_of(route.name)
        answered = ArmAnswer(arm.name, primary, reply)
        self._send(Comparison(frame, route.name, revision, answered, shadow.name, release))

    async def close(self, timeout_s: float) -> None:
        """Take no more frames, and wait for those under way; what outlasts the time is given up.

        Args:
            timeout_s: How long to wait.
        """
        self._closed = True
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=timeout_s)
        left = list(self._under_way)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _send(self, one: Comparison) -> None:
        lane = self._lanes.of(one.release)
        if not self._has_room(one.frame) or not lane.try_enter(_SPARE):
            self._count(one, "dropped")
            return
        self._in_flight.enter(one.release.key)
        self._image_bytes += len(one.frame.image)
        task = asyncio.create_task(self._compare(one))
        self._under_way.add(task)
        # A callback, not a `finally`: a task that is cancelled before its first step runs neither.
        task.add_done_callback(partial(self._came_back, lane, one))

    def _has_room(self, frame: Frame) -> bool:
        image_bytes = self._image_bytes + len(frame.image)
        return (
            len(self._under_way) < self._limits.under_way
            and image_bytes <= self._limits.image_bytes
        )

    async def _compare(self, one: Comparison) -> float:
        """Ask the shadow arm and tell how it agrees; returns the seconds it took."""
        deadline = Deadline.after(self._limits.timeout_s)
        note_arm(one.arm, one.release.key)
        with self._tracing.shadow(one.arm, one.release.key):
            # Returns when the worker has answered, be it after the deadline: until then the frame
            # keeps its place.
            returned = await self._upstream.predict(one.release, one.frame, deadline)
        self._tell(one, returned, await one.agreement(returned.reply))
        return returned.upstream_s

    def _came_back(self, lane: Lane, one: Comparison, task: "asyncio.Task[float]") -> None:
        error = None if task.cancelled() else task.exception()
        answered = not task.cancelled() and error is None
        lane.leave(service_s=task.result() if answered else None)
        self._in_flight.leave(one.release.key)
        self._image_bytes -= len(one.frame.image)
        self._under_way.discard(task)
        if task.cancelled():
            self._count(one, "dropped")
        elif isinstance(error, Exception):
            self._failed(one, error)

    def _failed(self, one: Comparison, error: Exception) -> None:
        if not isinstance(error, UnderstudyError):
            log.error("shadow_failed", release=str(one.release.key), exc_info=error)
        self._count(one, "failed")
        self._recorder.shadow_failed(
            route=one.route,
            revision=one.revision,
            arm=one.arm,
            release=one.release.key,
            camera_id=one.frame.camera_id,
            code=describe(error).code,
        )

    def _tell(self, one: Comparison, returned: Returned, sums: AgreementSums) -> None:
        self._count(one, "compared")
        primary = one.primary.release.key
        self._metrics.show_agreement(_labels(one), primary, sums, one.release.class_names)
        self._recorder.compared(
            route=one.route,
            revision=one.revision,
            arm=one.arm,
            release=one.release.key,
            camera_id=one.frame.camera_id,
            agreement=sums,
            latency_s=returned.upstream_s,
        )
        if self._harvest is not None and one.fits_a_data_set():
            self._harvest.offer(one.disagreement(returned.reply, sums))

    def _count(self, one: Comparison, outcome: str) -> None:
        self._metrics.count_frame(_labels(one), outcome)


def _labels(one: Comparison) -> ArmLabels:
    return ArmLabels.of(one.route, one.arm, one.release.key)
