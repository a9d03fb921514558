"""Releases that have had too few workers for too long."""

from collections.abc import Iterable

from serving.store.values import ReleaseKey

# TorchServe starts a dead worker again by itself: after 1, 1, 2, 3, 5, ... s. What is not back
# by then does not come back soon.
PATIENCE_S = 20.0
_LONGEST_S = 640.0


class Shortage:
    """Says when TorchServe has had its time to bring dead workers back.

    One that was said is said again after twice the time: each time adds workers to those that
    TorchServe still lists.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._since_s: dict[ReleaseKey, float] = {}
        self._patience_of_s: dict[ReleaseKey, float] = {}

    def due(self, short: Iterable[ReleaseKey], now_s: float) -> list[ReleaseKey]:
        """Return those releases that were short of workers at every look for too long.

        Args:
            short: All that are now.
            now_s: A monotonic clock, seconds.
        """
        self._since_s = {key: self._since_s.get(key, now_s) for key in short}
        self._patience_of_s = {
            key: self._patience_of_s.get(key, self._patience_s) for key in self._since_s
        }
        due = [
            key for key, since in self._since_s.items() if now_s - since > self._patience_of_s[key]
        ]
        for key in due:
            self._since_s[key] = now_s
            self._patience_of_s[key] = min(2 * self._patience_of_s[key], _LONGEST_S)
        return due
