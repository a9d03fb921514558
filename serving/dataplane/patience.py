"""Who waits, within the deadline, for an arm that is down and may be back in a moment."""

import asyncio
import random
from collections import Counter

from serving.dataplane.deadline import Deadline
from serving.dataplane.upstream import Upstream, was_sent
from serving.error_info import retry_after_s
from serving.errors import StaleRoute, UnderstudyError, UpstreamError, WorkerFailed
from serving.store.values import ReleaseKey

# A worker is back in about 4 s, TorchServe in about 6 s and its releases some seconds later. What
# is down for longer than this is no hiccup: its frames fail at once.
_LONGEST_S = 20.0
# Times that a frame which reached a worker is sent once more: it may be what kills them.
_MOST_SENT_AGAIN = 2
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 0.8
# Less time than this is not worth another try.
_TOO_LATE_S = 0.02


class Patience:
    """Bounds who waits: how many frames for each release, how often and how long each.

    Args:
        upstream: Knows for how long a release has failed; has the retry budget.
        room: Frames that may wait for each release.
    """

    def __init__(self, upstream: Upstream, *, room: int) -> None:
        self._upstream = upstream
        self._room = room
        self._waiting: Counter[ReleaseKey] = Counter()

    def begin(self) -> "Waiter":
        """Return one frame's share of it."""
        return Waiter(self)

    async def pause(self, key: ReleaseKey, pause_s: float, error: UpstreamError) -> None:
        """Wait as one of those who may.

        Raises:
            UpstreamError: `error`, where no more frames may wait for the release.
        """
        if self._waiting[key] >= self._room:
            raise error
        self._waiting[key] += 1
        try:
            await asyncio.sleep(pause_s)
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]

    def is_worth_it(self, key: ReleaseKey, error: UpstreamError) -> bool:
        """Whether the release may be back soon, and the frame may be sent to it once more."""
        if self._upstream.failing_for_s(key) > _LONGEST_S:
            return False
        return self._upstream.may_send_again(key, error)


class Waiter:
    """One frame that may wait, more than once.

    Args:
        patience: What it has a share of.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._pause_s = _FIRST_PAUSE_S
        self._sent_again = 0
        self._was_stale = False

    def is_newly_stale(self, error: UnderstudyError) -> bool:
        """Whether the route should be read anew before anything else: true once at most."""
        stale = isinstance(error, StaleRoute) and not self._was_stale
        self._was_stale = self._was_stale or stale
        return stale

    async def wait(self, key: ReleaseKey, error: UnderstudyError, deadline: Deadline) -> None:
        """Return when the release should be tried again.

        Args:
            key: The release.
            error: Why it did not answer.
            deadline: Of the frame.

        Raises:
            UnderstudyError: `error`, where that is not worth it: too late, too often, too many, a
                model that would only fail again, or no failure but too much work.
        """
        if not isinstance(error, UpstreamError) or isinstance(error, WorkerFailed):
            raise error
        self._sent_again += was_sent(error)
        told_s = retry_after_s(error) or 0.0
        # Not all of them in the same moment.
        pause_s = max(told_s, self._pause_s) * random.uniform(1.0, 1.2)  # noqa: S311 - no secret
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        too_late = pause_s + _TOO_LATE_S >= deadline.remaining_s()
        if too_late or self._sent_again > _MOST_SENT_AGAIN:
            raise error
        if not self._patience.is_worth_it(key, error):
            raise error
        await self._patience.pause(key, pause_s, error)
