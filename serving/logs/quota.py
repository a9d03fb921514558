"""At most so many lines a second of one kind: in an outage every frame would have one."""

import asyncio
import time
from collections.abc import Callable
from contextvars import Context
from typing import Any

import structlog

_log = structlog.get_logger(__name__)

_SECOND_S = 1.0


class LineQuota:
    """Says whether a line may be said, and tells of those that might not once their second is over.

    Args:
        event: Whose lines.
        most: So many a second.
        clock: Seconds, monotonic.
        later: Calls something in so many seconds; None: the running loop does, where there is one.
    """

    def __init__(
        self,
        event: str,
        most: int = 10,
        *,
        clock: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], Any] | None = None,
    ) -> None:
        self._event = event
        self._most = most
        self._clock = clock
        self._later = later or _later
        self._second = clock()
        self._said = 0
        self._left_out = 0

    def allows(self) -> bool:
        """Whether one more line may be said now; who asks says it."""
        now = self._clock()
        if now - self._second >= _SECOND_S:
            self._tell()
            self._second, self._said = now, 0
        if self._said < self._most:
            self._said += 1
            return True
        self._left_out += 1
        if self._left_out == 1:
            self._later(self._second + _SECOND_S - now, self._tell)
        return False

    def _tell(self) -> None:
        left_out, self._left_out = self._left_out, 0
        if left_out:
            # Of many frames, so it names none.
            Context().run(_log.warning, "lines_left_out", of=self._event, left_out=left_out)


def _later(delay_s: float, call: Callable[[], None]) -> None:
    try:
        asyncio.get_running_loop().call_later(delay_s, call)
    except RuntimeError:
        return  # the next line tells
