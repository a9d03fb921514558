"""Tells the store what this gateway has applied and what it still holds."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

# A drain counts a silent gateway as gone after this lease and the longest deadline.
LEASE_S = 60.0


class HeartbeatStore(Protocol):
    """What heartbeats need of the store."""

    async def heartbeat(self, gateway_id: str, revision: int, in_flight: dict[str, int]) -> int:
        """Write one heartbeat; returns how many gateways are live, this one included."""


class Heartbeat:
    """Beats at least every `period_s`, and at once when asked to.

    Args:
        store: Where heartbeats go.
        gateway_id: Unique to the process.
        read: Returns the applied revision and the counts; it must not await, so that both are of
            one moment (see `InFlight`).
        period_s: Longest silence, in seconds.
        lease_s: How long one beat lets this gateway send.
    """

    def __init__(
        self,
        store: HeartbeatStore,
        gateway_id: str,
        read: Callable[[], tuple[int, dict[str, int]]],
        *,
        period_s: float = 0.5,
        lease_s: float = LEASE_S,
    ) -> None:
        self._store = store
        self._gateway_id = gateway_id
        self._read = read
        self._period_s = period_s
        self._lease_s = lease_s
        self._wanted = asyncio.Event()
        self._beating = asyncio.Lock()
        self._beaten_at = float("-inf")
        self._live_gateways = 1
        self._gaps = 0

    @property
    def gaps(self) -> int:
        """How often the lease had lapsed when a beat was written; the first beat is one."""
        return self._gaps

    @property
    def live_gateways(self) -> int:
        """How many gateways the store last knew to be live, this one included."""
        return self._live_gateways

    def holds_lease(self) -> bool:
        """Whether a drain still waits for this gateway, so that it may send."""
        return time.monotonic() - self._beaten_at < self._lease_s

    def soon(self) -> None:
        """Have the next beat now: something changed that a drain may wait for."""
        self._wanted.set()

    async def beat(self) -> None:
        """Write one heartbeat, after the one that is being written."""
        async with self._beating:
            # The lease counts from before the write: the store dates it no earlier.
            started = time.monotonic()
            live = await self._store.heartbeat(self._gateway_id, *self._read())
            # A beat that took so long itself leaves a gap too.
            self._gaps += time.monotonic() - self._beaten_at >= self._lease_s
            self._beaten_at, self._live_gateways = started, max(1, live)

    async def follow(self) -> None:
        """Beat until cancelled, one beat at a time, so that they arrive in order."""
        while True:
            self._wanted.clear()
            try:
                await self.beat()
            except Exception:
                log.exception("heartbeat not written; the next one follows")
                await asyncio.sleep(self._period_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._period_s):
                    await self._wanted.wait()
