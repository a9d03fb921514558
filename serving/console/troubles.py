"""What an operator is told of an error, and what the log is."""

import time
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from serving.errors import UnderstudyError

_log = structlog.get_logger(__name__)

# Each open page meets the same outage every two seconds.
_QUIET_S = 60.0
_AWAY = "the store does not answer: nothing can be read or changed here until it does"
_OWN = "an error of the server's own: its log says which"


class Troubles:
    """Tells errors in words that give nothing away; logs each kind once in a while.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged_at: dict[str, float] = {}

    def told(self, error: Exception) -> str:
        """Return what an operator may know; what is not ours goes to the log whole."""
        if isinstance(error, UnderstudyError):
            return error.message
        self._log(error)
        away = isinstance(error, SQLAlchemyError | OSError | TimeoutError)
        return _AWAY if away else _OWN

    def _log(self, error: Exception) -> None:
        kind, now = type(error).__qualname__, self._clock()
        if now - self._logged_at.get(kind, float("-inf")) >= _QUIET_S:
            self._logged_at[kind] = now
            _log.error("console_failed", exc_info=error)


told = Troubles().told
"""For all pages of this process."""
