"""Follows the desired state: asks the store whether anything moved, and applies it whole."""

import asyncio
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import structlog

from serving.dataplane.route_table import RouteTable
from serving.store.desired import Desired
from serving.store.values import ReleaseKey

log = structlog.get_logger(__name__)

_PATIENCE_S = 1.0


class RouteStore(Protocol):
    """What the watcher needs of the store."""

    async def generation(self) -> int:
        """Return a number that grows with every change of routes, releases or placements."""

    async def desired(self) -> Desired:
        """Return routes, releases and placements, all read at one moment."""


class RouteWatcher:
    """Holds the table that requests read.

    Args:
        store: Where the desired state is.
        applied: Called after each new table, in the same synchronous stretch.
        poll_s: Seconds between two looks at the store.
    """

    def __init__(
        self, store: RouteStore, applied: Callable[[RouteTable], None], *, poll_s: float = 0.1
    ) -> None:
        self._store = store
        self._applied = applied
        self._poll_s = poll_s
        self._table = RouteTable()
        self._generation = -1
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

    async def try_refresh(self, timeout_s: float) -> bool:
        """Refresh for a frame that waits; whether the store answered in time.

        Args:
            timeout_s: How long the frame can wait; it does so for a second at most.
        """
        try:
            async with asyncio.timeout(min(timeout_s, _PATIENCE_S)):
                await self.refresh()
        except Exception as error:
            log.warning("the store did not answer: serving by the last route", exc_info=error)
            return False
        return True

    async def follow(self) -> None:
        """Keep the table fresh until cancelled; a store that fails is asked again."""
        answers = True
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                if await self._store.generation() != self._generation:
                    await self.refresh()
            except Exception:
                # Once an outage: ten traces a second would hide everything else.
                if answers:
                    log.exception("the store did not answer: serving by the last route")
                answers = False
            else:
                answers = True

    async def _read(self) -> None:
        started = time.monotonic()
        found = await self._store.desired()
        self._read_at, self._generation = started, found.generation
        self._table = RouteTable(
            revision=found.revision,
            routes=MappingProxyType({name: one.route for name, one in found.routes.items()}),
            releases=MappingProxyType({release.key: release for release in found.releases}),
            revisions=MappingProxyType({name: one.revision for name, one in found.routes.items()}),
            placements=_by_release(found.placements),
        )
        self._applied(self._table)


def _by_release(
    placements: Mapping[str, Mapping[ReleaseKey, int]],
) -> Mapping[ReleaseKey, Mapping[str, int]]:
    turned: dict[ReleaseKey, dict[str, int]] = {}
    for backend, running in placements.items():
        for key, ready_workers in running.items():
            turned.setdefault(key, {})[backend] = ready_workers
    return MappingProxyType(turned)
