"""Follows the desired state: asks the store for its newest revision and applies it whole."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import structlog

from serving.dataplane.route_table import RouteTable
from serving.store.values import Release, RouteRevision

log = structlog.get_logger(__name__)


class RouteStore(Protocol):
    """What the watcher needs of the store."""

    async def latest_revision(self) -> int:
        """Return the newest revision of all routes, 0 without one."""

    async def routes(self) -> Mapping[str, RouteRevision]:
        """Return each route's newest revision, all read at one moment."""

    async def releases(self) -> Sequence[Release]:
        """Return all releases."""


class RouteWatcher:
    """Holds the table that requests read.

    Args:
        store: Where the desired state is.
        applied: Called after each new table, in the same synchronous stretch.
        poll_s: Seconds between two looks at the newest revision.
        reread_s: Releases change without a revision (workers, retired): after this many seconds
            they are read again.
    """

    def __init__(
        self,
        store: RouteStore,
        applied: Callable[[RouteTable], None],
        *,
        poll_s: float = 0.1,
        reread_s: float = 2.0,
    ) -> None:
        self._store = store
        self._applied = applied
        self._poll_s = poll_s
        self._reread_s = reread_s
        self._table = RouteTable()
        self._read_at = 0.0
        self._reading = asyncio.Lock()

    @property
    def table(self) -> RouteTable:
        """The table as of now; read it anew for each request, and keep no part of it."""
        return self._table

    async def refresh(self) -> None:
        """Read and apply the newest state; callers that come together share one read."""
        asked_at = time.monotonic()
        async with self._reading:
            if self._read_at <= asked_at:
                await self._read()

    async def follow(self) -> None:
        """Keep the table fresh until cancelled; a store that fails is asked again."""
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                if await self._is_stale():
                    await self.refresh()
            except Exception:
                log.exception("the store did not answer: serving by the last route")

    async def _is_stale(self) -> bool:
        if time.monotonic() - self._read_at > self._reread_s:
            return True
        return await self._store.latest_revision() != self._table.revision

    async def _read(self) -> None:
        started = time.monotonic()
        revisions = await self._store.routes()
        # After the routes, so that each release they name is there.
        releases = await self._store.releases()
        self._read_at = started
        self._table = RouteTable(
            revision=max((found.revision for found in revisions.values()), default=0),
            routes=MappingProxyType({name: found.route for name, found in revisions.items()}),
            releases=MappingProxyType({release.key: release for release in releases}),
        )
        self._applied(self._table)
