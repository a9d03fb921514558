"""Has a frame answered by a release, on whichever of its backends can."""

import asyncio
import time
from collections.abc import Callable, Collection

from serving.dataplane.deadline import Deadline
from serving.dataplane.endpoints import Endpoint, Endpoints
from serving.dataplane.frames import Frame
from serving.dataplane.token_bucket import TokenBucket
from serving.dataplane.worker_calls import Returned, WorkerCalls, first, slow_after_s
from serving.errors import (
    BackendUnavailable,
    DeadlineExceeded,
    Overloaded,
    StaleRoute,
    UnderstudyError,
    WorkerDied,
)
from serving.metrics.gateway.faults import FaultMetrics
from serving.store.values import Release, ReleaseKey
from serving.tracing.tracing import Tracing

MOST_TRIES = 3
_SLOW = DeadlineExceeded("no answer in a quarter of the time")
_RETRY_AFTER_S = 1.0
_ELSEWHERE = (BackendUnavailable, StaleRoute, WorkerDied, Overloaded)


class Upstream:
    """The backends as one: the least busy that can answer is asked, and another where that fails.

    Args:
        endpoints: Where each release is.
        metrics: Counts retries and expired frames.
        retries: What frames that were sent once may spend to be sent again.
        tracing: Is told of each call.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        metrics: FaultMetrics,
        retries: TokenBucket | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._metrics = metrics
        self._retries = retries or TokenBucket(share=0.2, most=256, begin=32, floor=32)
        self._failing_since: dict[ReleaseKey, float] = {}
        self._calls = WorkerCalls(metrics, tracing)

    async def predict(
        self,
        release: Release,
        frame: Frame,
        deadline: Deadline,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Returned:
        """Have one frame answered, by at most three backends one after the other.

        One that has not answered after a quarter of the time is given company by another: its
        workers may be gone, and TorchServe keeps their frames until it has new ones. One that did
        not answer lately is given company at once: a machine that is cut off refuses nothing, and
        the frame that finds that out must not wait for it.

        Args:
            release: Who is to answer.
            frame: What to send.
            deadline: When nobody waits any more.
            is_wanted: Asked before it is sent again: whether somebody still waits.

        Raises:
            RequestError: The worker cannot read the frame.
            StaleRoute: No backend that was asked knows the version.
            BackendUnavailable: No backend can be sent to now (`refused`: nothing was sent), or the
                connection broke.
            WorkerDied: Under this frame, on each backend that was asked.
            WorkerFailed: It raised or answered nonsense.
            DeadlineExceeded: The deadline has passed.
        """
        self._retries.earn()
        key = release.key
        failures: dict[str, UnderstudyError] = {}
        calls: dict[asyncio.Task[Returned], str] = {}
        error: UnderstudyError = _SLOW
        endpoint = self._endpoints.choose(key)
        doubted = endpoint is not None and endpoint.is_doubted()
        slow_s: float | None = 0.0 if doubted else slow_after_s(deadline.remaining_s())
        try:
            while endpoint is not None or calls:
                if endpoint is not None:
                    calls[self._calls.begin(endpoint, frame, deadline)] = endpoint.backend
                done = await first(calls, slow_s)
                if done is None:
                    slow_s, error = None, _SLOW  # company is sought once
                else:
                    backend = calls.pop(done)
                    try:
                        return self._answered(key, done)
                    except _ELSEWHERE as failure:
                        failures[backend] = error = failure
                tried = failures.keys() | set(calls.values())
                endpoint = self._another(key, tried, error) if is_wanted() else None
        finally:
            self._calls.leave(calls)
        raise self._verdict(key, list(failures.values()))

    def check(self, key: ReleaseKey) -> None:
        """Tell before anyone waits for a place that the release cannot be sent to.

        Raises:
            BackendUnavailable: No backend can be sent to now.
        """
        if not self._endpoints.is_up(key):
            raise self._verdict(key, [])

    def is_up(self, key: ReleaseKey) -> bool:
        """Whether the release may be sent to somewhere now."""
        return self._endpoints.is_up(key)

    def may_send_again(self, key: ReleaseKey, error: UnderstudyError) -> bool:
        """Whether a frame may be sent to the release once more: may spend from the retry budget.

        Args:
            key: The release.
            error: What went wrong before. What was never sent costs the workers nothing.
        """
        if was_sent(error) and not self._retries.spend():
            return False
        self._metrics.count_retry(key, error.code)
        return True

    def failing_for_s(self, key: ReleaseKey) -> float:
        """Return for how long no frame of the release was answered, in seconds; 0: it answers."""
        since = self._failing_since.get(key)
        return 0.0 if since is None else time.monotonic() - since

    def forget(self, key: ReleaseKey) -> None:
        """Drop what is known of a release that is gone."""
        self._failing_since.pop(key, None)
        self._endpoints.forget(key)

    def _answered(self, key: ReleaseKey, call: "asyncio.Task[Returned]") -> Returned:
        returned = call.result()
        self._failing_since.pop(key, None)
        return returned

    def _another(
        self, key: ReleaseKey, tried: Collection[str], error: UnderstudyError
    ) -> Endpoint | None:
        if len(tried) >= MOST_TRIES:
            return None
        found = self._endpoints.choose(key, without=tried)
        return found if found is not None and self.may_send_again(key, error) else None

    def _verdict(self, key: ReleaseKey, failures: list[UnderstudyError]) -> UnderstudyError:
        """Return what the frame's sender is told: what says most of the frame's own fate."""
        if failures and all(isinstance(error, StaleRoute) for error in failures):
            return failures[-1]
        sent = [error for error in failures if was_sent(error)]
        if sent:
            self._failing_since.setdefault(key, time.monotonic())
            return sent[-1]
        self._failing_since.setdefault(key, time.monotonic())
        wait_s = self._endpoints.retry_after_s(key)
        return BackendUnavailable(
            f"no backend answers for {key} now; it is tried again by itself",
            retry_after_s=_RETRY_AFTER_S if wait_s is None else max(wait_s, 0.05),
            refused=True,
        )


def was_sent(error: UnderstudyError) -> bool:
    """Whether a worker may have begun with the frame before this failure."""
    if isinstance(error, BackendUnavailable):
        return not error.refused
    return not isinstance(error, StaleRoute | Overloaded)
