"""Calls to workers: begun, judged for the breaker, and left alone when nobody waits any more."""

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from serving.dataplane.breaker import LIMIT, Pass
from serving.dataplane.deadline import Deadline
from serving.dataplane.endpoints import Endpoint
from serving.dataplane.frames import Frame
from serving.errors import (
    BackendUnavailable,
    DeadlineExceeded,
    Overloaded,
    RequestError,
    StaleRoute,
    WorkerDied,
    WorkerFailed,
)
from serving.metrics.gateway.faults import FaultMetrics
from serving.torchserve.inference import WorkerReply
from serving.tracing.tracing import Tracing, Untraced

# A worker cannot be told to stop: what was sent is waited for, even when nobody wants it any more,
# so that whoever chooses next knows how busy it is; but not for ever.
ABANDONED_S = 30.0
# A frame that had less time to begin with says nothing of the worker.
_TELLING_S = 1.0
_SLOW_SHARE = 0.25
# Short deadlines: busy is not slow yet.
_SLOW_LEAST_S = 1.0


@dataclass(frozen=True)
class Returned:
    """A worker's reply.

    Attributes:
        reply: What it said.
        upstream_s: How long the call that was answered took.
        backend: Where.
    """

    reply: WorkerReply
    upstream_s: float
    backend: str


class WorkerCalls:
    """Begins calls, and keeps those that were left until they end.

    Args:
        metrics: Counts what expired.
        tracing: Is told of each call.
    """

    def __init__(self, metrics: FaultMetrics, tracing: Tracing | None = None) -> None:
        self._metrics = metrics
        self._tracing = tracing or Untraced()
        self._left: set[asyncio.Task[Returned]] = set()

    def leave(self, calls: Iterable["asyncio.Task[Returned]"]) -> None:
        """Let calls that nobody waits for come to their end: TorchServe cannot take them back."""
        for call in calls:
            self._left.add(call)
            call.add_done_callback(self._forget_left)

    def _forget_left(self, call: "asyncio.Task[Returned]") -> None:
        self._left.discard(call)
        if not call.cancelled():
            call.exception()  # looked at: nobody else will

    def begin(
        self, endpoint: Endpoint, frame: Frame, deadline: Deadline
    ) -> "asyncio.Task[Returned]":
        """Send a frame; it counts as under way at once, for whoever chooses next.

        Raises:
            DeadlineExceeded: There is no time left; it is not sent.
        """
        if deadline.remaining_s() <= 0:
            self._metrics.count_expired(endpoint.key, "gateway")
            raise DeadlineExceeded("the deadline passed while the frame waited; it was not sent")
        return asyncio.create_task(self._send(endpoint, endpoint.sent(), frame, deadline))

    async def _send(
        self, endpoint: Endpoint, passed: Pass, frame: Frame, deadline: Deadline
    ) -> Returned:
        started, remaining_s = time.monotonic(), max(0.0, deadline.remaining_s())
        with (
            self._judged(endpoint, passed, remaining_s),
            self._tracing.worker_call(endpoint.key, endpoint.backend),
        ):
            reply = await endpoint.client.predict(
                endpoint.key,
                frame.image,
                min_score=frame.min_score,
                max_detections=frame.max_detections,
                timeout_s=remaining_s + ABANDONED_S,
                deadline_unix_ms=int(1000 * (time.time() + remaining_s)),
            )
            self._tracing.replied(reply)
        return Returned(reply, time.monotonic() - started, endpoint.backend)

    @contextmanager
    def _judged(self, endpoint: Endpoint, passed: Pass, remaining_s: float) -> Iterator[None]:
        """Let the breaker know how the call in the block ends, or that it takes too long."""
        late = partial(endpoint.failed, passed, 1.0)
        if remaining_s < _TELLING_S:
            late = partial(endpoint.gave_up, passed)
        timer = asyncio.get_running_loop().call_later(slow_after_s(remaining_s), late)
        try:
            yield
        except BaseException as error:
            self._judge(endpoint, passed, error)
            raise
        else:
            endpoint.answered()
        finally:
            timer.cancel()
            endpoint.came_back()

    def _judge(self, endpoint: Endpoint, passed: Pass, error: BaseException) -> None:
        weight = _weight(error, endpoint.ready_workers)
        if isinstance(error, RequestError):
            endpoint.answered()
        elif weight is None:
            endpoint.gave_up(passed)
        else:
            endpoint.failed(passed, weight)
        if isinstance(error, DeadlineExceeded):
            self._metrics.count_expired(endpoint.key, "worker")


def slow_after_s(remaining_s: float) -> float:
    """Return when a call that has not ended is slow: a quarter of its time, at least a second.

    Args:
        remaining_s: Its time; of less than two seconds, half.
    """
    return max(0.0, remaining_s * _SLOW_SHARE, min(_SLOW_LEAST_S, remaining_s / 2))


async def first(
    calls: Collection["asyncio.Task[Returned]"], timeout_s: float | None
) -> "asyncio.Task[Returned] | None":
    """Return one call that has ended, an answer where there is one; None: none has in this time."""
    done, _ = await asyncio.wait(calls, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    return min(done, key=lambda call: call.exception() is not None, default=None)


def _weight(error: BaseException, ready_workers: int) -> float | None:
    """Return how much a failure says of the endpoint's health; None: nothing."""
    match error:
        case StaleRoute():
            return LIMIT
        case WorkerDied():
            return LIMIT / max(1, ready_workers)
        case BackendUnavailable(refused=True) | Overloaded():
            return LIMIT / 2
        case BackendUnavailable() | WorkerFailed():
            return 1.0
    return None
