"""Reads a rollout's windows from the store, each once."""

from datetime import timedelta

from serving.controlplane.rollout_traffic import RolloutTraffic
from serving.store.rollouts_values import Rollout
from serving.store.store import Store

BEFORE = timedelta(minutes=15)
"""How long before its start a rollout reads what cameras met under the other arms."""

# A window of a hundred cameras takes 1.6 ms of the event loop, and a controller that starts may
# have a day of them to read: the lease is to be renewed meanwhile.
_AT_ONCE = 16


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
        self._last: int | None = None
        self.traffic = RolloutTraffic(rollout)

    async def refresh(self, rollout: Rollout) -> RolloutTraffic:
        """Add the windows that are new, and return the traffic of the rollout's stage."""
        if rollout.revision != self._revision:
            self._revision = rollout.revision
            self.traffic.enter(rollout.revision)
        while await self._next_page():
            pass
        return self.traffic

    async def _next_page(self) -> bool:
        """Add a page of windows; tell whether there is another."""
        before = self._last
        page = await self._store.windows_page(
            self._route, since=self._since, after=before, limit=_AT_ONCE
        )
        self.traffic.add(page.windows)
        self._last = page.last
        return page.last != before
