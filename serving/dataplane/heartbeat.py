"""Tells the store what this gateway has applied and what it still holds."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)


class HeartbeatStore(Protocol):
    """What heartbeats need of the store."""

    async def heartbeat(self, gateway_id: str, revision: int, in_flight: dict[str, int]) -> None:
        """Write one heartbeat."""


class Heartbeat:
    """Beats at least every `period_s`, and at once when asked to.

    Args:
        store: Where heartbeats go.
        gateway_id: Unique to the process.
        read: Returns the applied revision and the counts; it must not await, so that both are of
            one moment (see `InFlight`).
        period_s: Longest silence, in seconds.
    """

    def __init__(
        self,
        store: HeartbeatStore,
        gateway_id: str,
        read: Callable[[], tuple[int, dict[str, int]]],
        *,
        period_s: float = 0.5,
    ) -> None:
        self._store = store
        self._gateway_id = gateway_id
        self._read = read
        self._period_s = period_s
        self._wanted = asyncio.Event()

    def soon(self) -> None:
        """Have the next beat now: something changed that a drain may wait for."""
        self._wanted.set()

    async def follow(self) -> None:
        """Beat until cancelled, one beat at a time, so that they arrive in order."""
        while True:
            self._wanted.clear()
            try:
                await self._store.heartbeat(self._gateway_id, *self._read())
            except Exception:
                log.exception("heartbeat not written; the next one follows")
                await asyncio.sleep(self._period_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._period_s):
                    await self._wanted.wait()
