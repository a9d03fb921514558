"""Sends one frame to one release: its place, its count and the call."""

import asyncio
import time
from dataclasses import dataclass
from functools import partial

from serving.dataplane.admission import Lane
from serving.dataplane.deadline import Deadline
from serving.dataplane.frames import Frame
from serving.dataplane.inflight import InFlight
from serving.dataplane.lanes import Lanes
from serving.dataplane.upstream import Upstream
from serving.dataplane.worker_calls import Returned
from serving.errors import DeadlineExceeded
from serving.metrics.gateway.faults import FaultMetrics
from serving.store.values import Release, ReleaseKey
from serving.tracing.tracing import Tracing, Untraced


@dataclass(frozen=True)
class Sent:
    """A frame's end, as its sender saw it.

    Attributes:
        returned: What came back.
        queue_s: How long it waited for a place, in seconds.
    """

    returned: Returned
    queue_s: float


class Sender:
    """Waits for a place, sends, and gives place and count back when the worker has answered.

    Args:
        upstream: Where the workers are.
        lanes: Who may be sent now.
        in_flight: Counts what each release owes.
        tracing: Is told of the wait.
        faults: Counts what expired while it waited.
    """

    def __init__(
        self,
        upstream: Upstream,
        lanes: Lanes,
        in_flight: InFlight,
        tracing: Tracing | None = None,
        faults: FaultMetrics | None = None,
    ) -> None:
        self._upstream = upstream
        self._lanes = lanes
        self._in_flight = in_flight
        self._tracing = tracing or Untraced()
        self._faults = faults

    def count(self, key: ReleaseKey) -> None:
        """Count a frame for a release, in the stretch in which the route was read.

        Each one needs its `send`, awaited with nothing else in between.
        """
        self._in_flight.enter(key)

    async def send(
        self, frame: Frame, release: Release, deadline: Deadline, taken: Lane | None = None
    ) -> Sent:
        """Have a counted frame answered.

        A caller who leaves before the frame was sent takes it along; after that, its place stays
        taken until the worker answers, and no other is asked.

        Args:
            frame: What to send.
            release: Who is to answer.
            deadline: When the caller stops waiting.
            taken: The lane in which the caller has taken a place; None: one is waited for.

        Raises:
            Overloaded: Too many wait for a place.
            DeadlineExceeded: The deadline passed; while waiting for a place, nothing was sent.
            RequestError: As the worker says.
            UpstreamError: See `Upstream.predict`.
        """
        waited_from = time.monotonic()
        lane = taken or await self._place(release, deadline)
        queue_s = time.monotonic() - waited_from
        is_wanted = True
        # A task of its own, so that a caller who leaves does not give the place back too early.
        sent = asyncio.create_task(
            self._upstream.predict(release, frame, deadline, lambda: is_wanted)
        )
        sent.add_done_callback(partial(self._came_back, lane, release.key))
        try:
            return Sent(await _in_time(sent, deadline, release.key), queue_s)
        finally:
            is_wanted = False

    async def _place(self, release: Release, deadline: Deadline) -> Lane:
        try:
            self._upstream.check(release.key)
            lane = self._lanes.of(release)
            with self._tracing.step("queue"):
                await lane.enter(deadline)
        except BaseException as error:
            self._in_flight.leave(release.key)
            if self._faults is not None and isinstance(error, DeadlineExceeded):
                self._faults.count_expired(release.key, "gateway")
            raise
        return lane

    def _came_back(self, lane: Lane, key: ReleaseKey, sent: "asyncio.Task[Returned]") -> None:
        answered = not sent.cancelled() and sent.exception() is None
        lane.leave(service_s=sent.result().upstream_s if answered else None)
        self._in_flight.leave(key)


async def _in_time(sent: "asyncio.Task[Returned]", deadline: Deadline, key: ReleaseKey) -> Returned:
    try:
        async with asyncio.timeout(deadline.remaining_s()):
            return await asyncio.shield(sent)
    except TimeoutError:
        raise DeadlineExceeded(
            f"{key} did not answer before the deadline; allow more time or send fewer frames"
        ) from None
