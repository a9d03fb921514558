"""Tokens that requests earn and extra work spends: what is extra stays a share of what is asked."""

import time
from collections.abc import Callable


class TokenBucket:
    """Spent tokens never exceed the tokens it began with, those earned and those of the clock.

    Args:
        share: Tokens that one request earns.
        most: Tokens it holds at most.
        begin: Tokens it begins with.
        floor: Time fills it up to here, whatever is asked; 0: it does not.
        fill_s: How long that takes from empty, in seconds.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        *,
        share: float,
        most: float,
        begin: float = 0.0,
        floor: float = 0.0,
        fill_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._share = share
        self._most = most
        self._floor = floor
        self._fill_s = fill_s
        self._clock = clock
        self._tokens = min(begin, most)
        self._filled_at = clock()

    def earn(self) -> None:
        """Count a request."""
        self._fill()
        self._tokens = max(self._tokens, min(self._most, self._tokens + self._share))

    def spend(self) -> bool:
        """Take a token if there is one."""
        self._fill()
        # Five fifths are one, whatever binary fractions make of them.
        if self._tokens < 1 - 1e-9:
            return False
        self._tokens = max(0.0, self._tokens - 1)
        return True

    def wait_s(self) -> float:
        """Return after how many seconds the clock alone has filled in a token; 0: there is one."""
        self._fill()
        rate = self._floor / self._fill_s
        missing = max(0.0, 1 - self._tokens)
        return missing / rate if rate else float("inf") if missing else 0.0

    def _fill(self) -> None:
        now = self._clock()
        passed_s, self._filled_at = now - self._filled_at, now
        if self._tokens < self._floor:
            filled = self._tokens + self._floor * passed_s / self._fill_s
            self._tokens = min(self._floor, filled)
