"""Stops sending to a release on a backend that is down, and probes it back."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

# So many plain failures in a row open it; see `Breaker.failed` for those that weigh more.
LIMIT = 5.0
_WINDOW_S = 10.0
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 2.0
# A probe that hangs must not keep the door shut for ever.
_PROBE_S = 5.0


class BreakerState(IntEnum):
    """Where a breaker stands; the numbers are the gauge's."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(frozen=True)
class Pass:
    """One request that was let through.

    Attributes:
        era: Counts the breaker's openings and closings: what was sent before one says nothing
            after it.
        probe: Whether the breaker waits for this one.
    """

    era: int
    probe: bool


class Breaker:
    """Closed, until failures in a row open it; then one probing request after a growing pause.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._era = 0
        self._state = BreakerState.CLOSED
        self._weight = 0.0
        self._failing_since = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._shut_until = 0.0

    @property
    def state(self) -> BreakerState:
        """Where it stands; an open one stays open until its probe is sent."""
        return self._state

    def lets_through(self) -> bool:
        """Whether a request may be sent now."""
        return self._state is BreakerState.CLOSED or self._clock() >= self._shut_until

    def retry_after_s(self) -> float:
        """Return when a request may be sent again, in seconds; 0: now."""
        if self._state is BreakerState.CLOSED:
            return 0.0
        return max(0.0, self._shut_until - self._clock())

    def sent(self) -> Pass:
        """Count a request as sent; only after `lets_through`. Its end is told with this pass."""
        probe = self._state is not BreakerState.CLOSED
        if probe:
            self._state = BreakerState.HALF_OPEN
            self._era += 1
            self._shut_until = self._clock() + _PROBE_S
        return Pass(self._era, probe)

    def answered(self) -> None:
        """Close: whenever it was sent, an answer has come."""
        if self._state is not BreakerState.CLOSED:
            self._era += 1
        self._state = BreakerState.CLOSED
        self._weight = 0.0
        self._pause_s = _FIRST_PAUSE_S

    def failed(self, passed: Pass, weight: float = 1.0) -> None:
        """Count a failure.

        Args:
            passed: What `sent` returned.
            weight: How much it tells: `LIMIT` within 10 seconds, with no answer in between, opens.
        """
        if passed.era != self._era:
            return
        now = self._clock()
        if passed.probe:
            self._open(now)
            return
        if self._weight == 0 or now - self._failing_since > _WINDOW_S:
            self._weight, self._failing_since = 0.0, now
        self._weight += weight
        if self._weight >= LIMIT:
            self._open(now)

    def gave_up(self, passed: Pass) -> None:
        """Forget a request that ended without telling anything; another probes after the pause."""
        if passed.probe and passed.era == self._era:
            self._state = BreakerState.OPEN
            self._era += 1
            self._shut_until = self._clock() + self._pause_s

    def _open(self, now: float) -> None:
        self._state = BreakerState.OPEN
        self._era += 1
        self._weight = 0.0
        self._shut_until = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
