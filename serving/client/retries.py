"""Which requests are asked again, and when.

Detection changes nothing, so a request may be asked twice: what a gateway, a worker or a network
lost is asked again at once, on another gateway or at least another connection, and what was too
much after the time the server names; all within the caller's deadline. Bad input never is.
"""

import random
import threading
import time

from serving.dataplane.deadline import Deadline
from serving.errors import (
    BackendUnavailable,
    Overloaded,
    StaleRoute,
    StreamEnded,
    UnderstudyError,
    WorkerDied,
    WorkerFailed,
)

# Another gateway, or this one a moment later, can answer.
_LOST = (BackendUnavailable, StaleRoute, StreamEnded, WorkerDied, WorkerFailed)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_LATE = 1.5
# One who starts a camera wants to know soon that nobody is there; but a gateway that was killed
# just now may have taken the first connection with it.
_FIRST_PATIENCE_S = 2.0
# What a server may ask of a camera that is to connect again.
_LONGEST_HINT_S = 30.0


class RetryBudget:
    """Keeps retries from multiplying the load of a deployment in trouble; safe from many threads.

    Args:
        size: Retries that may be made in a row.
        per_success: What each answered request adds again.
    """

    def __init__(self, size: float = 100.0, per_success: float = 0.2) -> None:
        self._size = size
        self._left = size
        self._per_success = per_success
        self._lock = threading.Lock()

    def succeeded(self) -> None:
        """Note an answered request."""
        with self._lock:
            self._left = min(self._size, self._left + self._per_success)

    def take(self) -> bool:
        """Whether one more retry may be made; it counts as made."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True


class Attempts:
    """One request's attempts.

    Args:
        timeout_s: For all of them together.
        addresses: How many there are to ask.
        budget: Of the client.

    Attributes:
        tried: Addresses that failed in this round: the others come first.
    """

    def __init__(self, timeout_s: float, *, addresses: int, budget: RetryBudget) -> None:
        self._deadline = Deadline.after(timeout_s)
        self._addresses = addresses
        self._budget = budget
        self._lost = 0
        self.tried: set[str] = set()

    @property
    def remaining_s(self) -> float:
        """Seconds left until the deadline; never negative."""
        return max(0.0, self._deadline.remaining_s())

    def succeeded(self) -> None:
        """Note that the request was answered."""
        self._budget.succeeded()

    def pause_s(self, error: UnderstudyError, address: str) -> float:
        """Return how long to wait before asking again.

        Args:
            error: What the last attempt came to.
            address: Where it was made.

        Raises:
            UnderstudyError: `error`, since asking again is of no use or comes too late.
        """
        pause_s = self._pause_s(error, address)
        if pause_s is None or pause_s >= self.remaining_s or not self._budget.take():
            raise error
        return pause_s

    def _pause_s(self, error: UnderstudyError, address: str) -> float | None:
        if isinstance(error, Overloaded):
            return error.retry_after_s * random.uniform(1.0, _LATE)  # noqa: S311 - no secret
        if not isinstance(error, _LOST):
            return None
        self._lost += 1
        self.tried.add(address)
        if len(self.tried) >= self._addresses:
            self.tried.clear()
        # Each address once, and a single one on a new connection, at once.
        return backoff_s(self._lost - max(1, self._addresses - 1) - 1)


class Reconnects:
    """How long a stream waits before it connects again, and when it gives up.

    Args:
        addresses: How many there are.
        patience_s: How long nobody may answer, once somebody has; until then at most a few seconds,
            in which each address is tried.

    Attributes:
        tried: Addresses that failed in this round: the others come first.
    """

    def __init__(self, *, addresses: int, patience_s: float) -> None:
        self._addresses = addresses
        self._patience_s = patience_s
        self._worked = False
        self._failures = 0
        self._since = 0.0
        self.tried: set[str] = set()

    def worked(self) -> None:
        """Note an answer."""
        self._worked, self._failures = True, 0
        self.tried.clear()

    def pause_s(self, error: UnderstudyError, address: str) -> float:
        """Return how long to wait.

        Args:
            error: What the last connection came to.
            address: Where it went.

        Raises:
            UnderstudyError: `error`, since connecting again is of no use.
        """
        self._failures += 1
        if self._failures == 1:
            self._since = time.monotonic()
        self.tried.add(address)
        asked_to_wait = isinstance(error, Overloaded | StreamEnded)
        if not (asked_to_wait or is_lost(error)) or self._is_over():
            raise error
        if len(self.tried) >= self._addresses:
            self.tried.clear()
        if isinstance(error, Overloaded | StreamEnded):
            return min(error.retry_after_s, _LONGEST_HINT_S)
        return backoff_s(self._failures - max(1, self._addresses - 1) - 1)

    def _is_over(self) -> bool:
        patience_s = self._patience_s if self._worked else min(self._patience_s, _FIRST_PATIENCE_S)
        return time.monotonic() - self._since > patience_s and self._failures >= self._addresses


def is_down(error: UnderstudyError) -> bool:
    """Whether the address itself is in trouble, so that it is better tried last for a while."""
    return isinstance(error, BackendUnavailable | StreamEnded)


def is_lost(error: UnderstudyError) -> bool:
    """Whether another connection can answer what this one did not."""
    return isinstance(error, _LOST)


def backoff_s(failures: int) -> float:
    """Return a pause that grows with the failures before, spread by half; 0 for less than none."""
    if failures < 0:
        return 0.0
    longest_s: float = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(failures, 16))
    return longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
