"""Reads the store for everybody who looks, once; while nobody looks, nothing is read."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from serving.console.snapshot import snapshot
from serving.console.traffic import CAMERA_LASTS, SPAN, RouteTraffic
from serving.store.store import Store

# Gateways write every five seconds: whoever looks sees a window two seconds after it at the latest.
_AT_MOST_EVERY_S = 2.0
# A window may hold thousands of cameras, and the loop has a lease to renew in between.
_AT_ONCE = 16
# What operators say of cameras: thousands of rows, seldom another.
_CAMERAS_EVERY_S = 10.0
# After so long without anybody the sums have a gap that is cheaper to read anew.
_STALE_AFTER_S = 120.0

Value = TypeVar("Value")


@dataclass
class _Watched:
    traffic: RouteTraffic
    last: int | None = None
    read_at: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Kept(Generic[Value]):
    """What is read once for everybody who asks within some seconds.

    Args:
        read: Reads it.
        for_s: How long it is good, in seconds.
    """

    def __init__(self, read: Callable[[], Awaitable[Value]], for_s: float) -> None:
        self._read = read
        self._for_s = for_s
        self._lock = asyncio.Lock()
        self._found: tuple[float, Value] | None = None

    async def __call__(self) -> Value:
        """Return it."""
        async with self._lock:
            if self._found is None or time.monotonic() - self._found[0] >= self._for_s:
                self._found = time.monotonic(), await self._read()
            return self._found[1]


class Watch:
    """The deployment and its routes' traffic, as far as anybody looks at them.

    Args:
        store: Holds both.
        at_most_every_s: How old, in seconds, what was read may be.

    Attributes:
        now: Returns the deployment as it was read last, a moment ago at most.
        cameras: Returns what the store knows of cameras, seconds ago at most.
    """

    def __init__(self, store: Store, *, at_most_every_s: float = _AT_MOST_EVERY_S) -> None:
        self._store = store
        self._at_most_every_s = at_most_every_s
        self._routes: dict[str, _Watched] = {}
        self.now = Kept(lambda: snapshot(store), at_most_every_s)
        self.cameras = Kept(store.cameras, max(at_most_every_s, _CAMERAS_EVERY_S))

    async def traffic(self, route: str) -> RouteTraffic:
        """Return a route's traffic as it was read last, a moment ago at most."""
        self._drop_unwatched()
        watched = self._routes.setdefault(route, _Watched(RouteTraffic(route)))
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
        while True:
            page = await self._store.glances(
                route,
                since=now - SPAN,
                after=watched.last,
                limit=_AT_ONCE,
                cameras_since=now - CAMERA_LASTS,
            )
            # No await from here to the note of it: whoever stops looking stops it in between.
            for one in page.glances:
                watched.traffic.add(one)
            if page.last == watched.last:
                break
            watched.last = page.last
        watched.traffic.forget(now)
