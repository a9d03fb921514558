"""What failed is tried again after a pause that grows."""

from collections.abc import Hashable
from dataclasses import dataclass

_FIRST_S = 4.0
_LONGEST_S = 120.0


@dataclass(frozen=True)
class _Failure:
    """The last one of something.

    Attributes:
        error: What went wrong.
        pause_s: How long it is left alone.
        until_s: On the clock that `failed` was told.
    """

    error: Exception
    pause_s: float
    until_s: float


class Pauses:
    """Remembers what failed: 4 s of pause, then twice the last, 120 s at most."""

    def __init__(self) -> None:
        self._failures: dict[Hashable, _Failure] = {}

    def pending(self, what: Hashable, now_s: float) -> Exception | None:
        """Return the last failure while its pause lasts, else None."""
        found = self._failures.get(what)
        return found.error if found is not None and now_s < found.until_s else None

    def failed(self, what: Hashable, error: Exception, now_s: float) -> None:
        """Begin a pause."""
        before = self._failures.get(what)
        pause_s = _FIRST_S if before is None else min(2 * before.pause_s, _LONGEST_S)
        self._failures[what] = _Failure(error, pause_s, now_s + pause_s)

    def forget(self, what: Hashable) -> None:
        """It went well."""
        self._failures.pop(what, None)

    def clear(self) -> None:
        """Begin anew: what failed before may go well now."""
        self._failures.clear()
