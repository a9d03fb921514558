"""Keeps a gateway that lost touch with the store from sending what a drain no longer waits for."""

import asyncio
import time

import structlog

from serving.dataplane.deadline import Deadline
from serving.dataplane.heartbeat import Heartbeat
from serving.dataplane.watcher import RouteWatcher
from serving.errors import BackendUnavailable

log = structlog.get_logger(__name__)

_PATIENCE_S = 2.0
_RETRY_S = 1.0


class Fence:
    """Open while the heartbeat's lease holds without a gap; after one, the route is read anew.

    A beat alone does not mend a gap: the drain may have ended in it, and our route may still name
    what it drained.

    Args:
        heartbeat: Whose lease it is.
        routes: What to read anew.
    """

    def __init__(self, heartbeat: Heartbeat, routes: RouteWatcher) -> None:
        self._heartbeat = heartbeat
        self._routes = routes
        self._mended = -1
        self._mending: asyncio.Task[None] | None = None
        self._failed_at = float("-inf")

    def is_open(self) -> bool:
        """Whether this gateway may send."""
        return self._heartbeat.holds_lease() and self._heartbeat.gaps == self._mended

    async def begin(self) -> None:
        """Open for the first time: nobody waits yet, so that a store that is slow has its time.

        Raises:
            BackendUnavailable: The store does not answer.
        """
        await self._mend()
        if not self.is_open():
            raise _shut()

    async def hold(self, deadline: Deadline | None = None) -> None:
        """Return when this gateway may send; after a gap, one heartbeat and one read of the route.

        Args:
            deadline: Of the frame that waits; None: it waits two seconds.

        Raises:
            BackendUnavailable: The store does not answer.
        """
        while not self.is_open():
            if time.monotonic() - self._failed_at < _RETRY_S:
                raise _shut()
            if self._mending is None or self._mending.done():
                self._mending = asyncio.create_task(self._mend())
            # All who wait share one try, which goes on when they have lost patience.
            left_s = _PATIENCE_S if deadline is None else max(0.0, deadline.remaining_s())
            done, _ = await asyncio.wait([self._mending], timeout=min(_PATIENCE_S, left_s))
            if not done:
                raise _shut()

    async def _mend(self) -> None:
        try:
            await self._heartbeat.beat()
            gaps = self._heartbeat.gaps
            await self._routes.refresh()
        except Exception:
            log.exception("no lease: nothing is sent until the store answers")
            self._failed_at = time.monotonic()
        else:
            self._mended = gaps


def _shut() -> BackendUnavailable:
    return BackendUnavailable(
        "this gateway has lost touch with the store and may not send; it tries again by itself",
        retry_after_s=_RETRY_S,
        refused=True,
    )
