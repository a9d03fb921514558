"""Keeps a gateway that lost touch with the store from sending what a drain no longer waits for."""

import asyncio
import time

import structlog

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
        self._mending = asyncio.Lock()
        self._failed_at = float("-inf")

    def is_open(self) -> bool:
        """Whether this gateway may send."""
        return self._heartbeat.holds_lease() and self._heartbeat.gaps == self._mended

    async def hold(self) -> None:
        """Return when this gateway may send; after a gap, one heartbeat and one read of the route.

        Raises:
            BackendUnavailable: The store does not answer.
        """
        if self.is_open():
            return
        try:
            async with asyncio.timeout(_PATIENCE_S), self._mending:
                await self._mend()
        except BackendUnavailable:
            raise
        except Exception as error:
            self._failed_at = time.monotonic()
            log.exception("no lease: nothing is sent until the store answers")
            raise _shut() from error

    async def _mend(self) -> None:
        if self.is_open():  # another request has mended it while we waited
            return
        if time.monotonic() - self._failed_at < _RETRY_S:
            raise _shut()
        await self._heartbeat.beat()
        gaps = self._heartbeat.gaps
        await self._routes.refresh()
        self._mended = gaps


def _shut() -> BackendUnavailable:
    return BackendUnavailable(
        "this gateway has lost touch with the store and may not send; it tries again by itself",
        retry_after_s=_RETRY_S,
        refused=True,
    )
