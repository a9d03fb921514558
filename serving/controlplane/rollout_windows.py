"""Reads a rollout's windows from the store, each once."""

from datetime import datetime, timedelta

from serving.controlplane.rollout_traffic import RolloutTraffic
from serving.store.observations import Window
from serving.store.rollouts_values import Rollout
from serving.store.store import Store

BEFORE = timedelta(minutes=15)
"""How long before its start a rollout reads what cameras met under the other arms."""

# A gateway that was held up writes a window so late.
_LATE = timedelta(seconds=30)


class WindowReader:
    """Keeps a rollout's traffic up to date.

    Args:
        store: Holds the windows.
        rollout: At its present stage.
    """

    def __init__(self, store: Store, rollout: Rollout) -> None:
        self._store = store
        self._route = rollout.route
        self._since = rollout.started - BEFORE
        self._revision = rollout.revision
        self._read: set[tuple[object, ...]] = set()
        self.traffic = RolloutTraffic(rollout)

    async def refresh(self, rollout: Rollout, now: datetime) -> RolloutTraffic:
        """Add the windows that are new, and return the traffic of the rollout's stage."""
        if rollout.revision != self._revision:
            self._revision = rollout.revision
            self.traffic.enter(rollout.revision)
        found = await self._store.windows(self._route, since=self._since)
        new = [window for window in found if _key(window) not in self._read]
        self.traffic.add(new)
        self._since = max(self._since, now - _LATE)
        self._read = {_key(window) for window in found if window.start >= self._since}
        return self.traffic


def _key(window: Window) -> tuple[object, ...]:
    # A gateway that stops writes the rest of a window apart: the counts tell the two apart.
    counts = tuple(sorted(window.codes.items()))
    whose = (window.gateway, window.start, window.revision)
    return (*whose, window.arm, window.release, window.kind, counts)
