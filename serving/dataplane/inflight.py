"""How many requests each release still owes an answer: what a drain waits for."""

from collections.abc import Callable

from serving.store.values import ReleaseKey


class InFlight:
    """Counts by release.

    A request must be counted in the same synchronous stretch (no await in between) in which it read
    the route that sent it here, and a heartbeat must read revision and counts in one such stretch.
    The loop runs one stretch at a time, so a heartbeat that tells revision R and 0 for a release
    has seen every request that an older route sent there, and R sends no more.

    Args:
        changed: Called with a release and its count each time that changes.
    """

    def __init__(self, changed: Callable[[ReleaseKey, int], None]) -> None:
        self._changed = changed
        self._counts: dict[ReleaseKey, int] = {}

    def enter(self, release: ReleaseKey) -> None:
        """Count one more; each `enter` needs its `leave`."""
        self._set(release, self.of(release) + 1)

    def leave(self, release: ReleaseKey) -> None:
        """Count one less."""
        self._set(release, self.of(release) - 1)

    def of(self, release: ReleaseKey) -> int:
        """Return one release's count."""
        return self._counts.get(release, 0)

    def counts(self) -> dict[str, int]:
        """Return every count above 0, by "MODEL-VERSION"."""
        return {str(release): count for release, count in self._counts.items()}

    def _set(self, release: ReleaseKey, count: int) -> None:
        if count:
            self._counts[release] = count
        else:
            del self._counts[release]
        self._changed(release, count)
