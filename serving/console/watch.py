"""Reads the store's windows for everybody who looks, once; while nobody looks, nothing is read."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from serving.console.traffic import SPAN, RouteTraffic
from serving.store.store import Store

# Gateways write every five seconds: whoever looks sees a window two seconds after it at the latest.
_AT_MOST_EVERY_S = 2.0
# A page is small enough to leave the loop free in between.
_AT_ONCE = 32
# Of a camera's part only the names are wanted, and those that send frames do so within this.
_CAMERAS_BACK = timedelta(seconds=60)
# After so long without anybody the sums have a gap that is cheaper to read anew.
_STALE_AFTER_S = 120.0


@dataclass
class _Watched:
    traffic: RouteTraffic = field(default_factory=RouteTraffic)
    last: int | None = None
    read_at: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Watch:
    """The routes' traffic, as far as anybody looks at it.

    Args:
        store: Holds the windows.
        at_most_every_s: How old, in seconds, what was read may be.
    """

    def __init__(self, store: Store, *, at_most_every_s: float = _AT_MOST_EVERY_S) -> None:
        self._store = store
        self._at_most_every_s = at_most_every_s
        self._routes: dict[str, _Watched] = {}

    async def traffic(self, route: str) -> RouteTraffic:
        """Return a route's traffic as it was read last, a moment ago at most."""
        self._drop_unwatched()
        watched = self._routes.setdefault(route, _Watched())
        async with watched.lock:
            if time.monotonic() - watched.read_at >= self._at_most_every_s:
                await self._read(route, watched)
                watched.read_at = time.monotonic()
        return watched.traffic

    def _drop_unwatched(self) -> None:
        now = time.monotonic()
        for name, one in list(self._routes.items()):
            if not one.lock.locked() and now - one.read_at > _STALE_AFTER_S:
                del self._routes[name]

    async def _read(self, route: str, watched: _Watched) -> None:
        now = await self._store.now()
        if watched.last is None:
            # The long past without its cameras, which are most of it; then the last minute's.
            await self._pages(route, watched, since=now - SPAN, until=now - _CAMERAS_BACK)
        await self._pages(route, watched, since=now - SPAN, until=None)
        watched.traffic.forget(now)

    async def _pages(
        self, route: str, watched: _Watched, *, since: datetime, until: datetime | None
    ) -> None:
        """Add page after page; those before `until` come without their cameras."""
        while True:
            before = watched.last
            page = await self._store.windows_page(
                route, since=since, after=before, limit=_AT_ONCE, cameras=until is None
            )
            if until is not None and any(one.start >= until for one in page.windows):
                # Read once more, with their cameras.
                return
            watched.traffic.add(page.windows)
            watched.last = page.last
            if page.last == before:
                return
