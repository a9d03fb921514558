"""How long a process that ended stays down before it is started again."""

# One that served this long did not die of its start: whatever killed it, cameras need it back.
_SERVED_S = 5.0
_PAUSES_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)


class Restarts:
    """Pauses that grow while a process cannot be started."""

    def __init__(self) -> None:
        self._failures = 0

    def pause_s(self, served_s: float) -> float:
        """Return how long to wait now, in seconds.

        Nothing after a long service; a second at most after a short one, so that a process which
        dies of its first requests does not take all the processor; more and more where it does not
        even come to serve.

        Args:
            served_s: How long it served before it ended, in seconds; 0 where it never did.
        """
        if served_s >= _SERVED_S:
            self._failures = 0
        elif served_s > 0:
            self._failures = min(self._failures, 1)
        pause_s = _PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)]
        self._failures += 1
        return pause_s
