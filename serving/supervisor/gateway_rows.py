"""The gateways' rows in the store: who starts the gateways knows for sure which are dead."""

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol, Self

import structlog

from serving.store.values import GatewayStatus

_log = structlog.get_logger(__name__)

_RETRY_S = 1.0
_CLOSE_S = 5.0


class RowStore(Protocol):
    """What is needed of the store."""

    async def gateways(self) -> Sequence[GatewayStatus]:
        """Return the gateways' last heartbeats."""

    async def leave_gateway(self, gateway_id: str) -> None:
        """Remove a gateway."""


class GatewayRows:
    """Names each start of a gateway, and removes its row when it has ended.

    Otherwise a drain waits until the row's lease and the longest deadline have passed: it cannot
    tell a dead gateway from one that only hangs. An async context manager.

    Args:
        store: Where the rows are.
        instance: The deployment's own name on that store.
    """

    def __init__(self, store: RowStore, instance: str) -> None:
        self._store = store
        self._instance = instance
        self._run = uuid.uuid4().hex[:6]
        self._tasks: set[asyncio.Task[None]] = set()

    def id_of(self, name: str, start: int) -> str:
        """Return the id of a gateway's start number `start`."""
        return f"{name}@{self._instance}.{self._run}.{start}"

    def ended(self, name: str, start: int) -> None:
        """Remove the row of a gateway that has ended; tried until the store answers."""
        task = asyncio.create_task(self._forget(self.id_of(name, start)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def __aenter__(self) -> Self:
        """Remove the rows that an earlier supervisor left: its gateways died with it."""
        for status in await self._store.gateways():
            if f"@{self._instance}." in status.id:
                await self._store.leave_gateway(status.id)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish what is being removed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await asyncio.gather(*self._tasks)

    async def _forget(self, gateway_id: str) -> None:
        while True:
            try:
                await self._store.leave_gateway(gateway_id)
            except Exception as error:  # noqa: BLE001 - whatever it is, the row must go
                _log.warning("gateway_row_stays", gateway=gateway_id, error=str(error))
                await asyncio.sleep(_RETRY_S)
            else:
                return
