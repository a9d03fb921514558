"""Opens a gateway with everything that keeps it true, and closes it in reverse."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from serving.dataplane.frames import FrameLimits
from serving.dataplane.gateway import Gateway
from serving.dataplane.heartbeat import Heartbeat
from serving.dataplane.inflight import InFlight
from serving.dataplane.lanes import Lanes
from serving.dataplane.route_table import RouteTable
from serving.dataplane.watcher import RouteWatcher
from serving.metrics import Metrics
from serving.store.store import Store
from serving.store.values import ReleaseKey, ReleaseState
from serving.torchserve.inference import InferenceClient

_GONE = frozenset({ReleaseState.RETIRED, ReleaseState.FAILED})


class DataPlane:
    """One gateway of the deployment: the use case, its route, its heartbeat.

    Args:
        store: Where the planes meet.
        backend: Where the workers are.
        metrics: Where everything is counted.
        limits: What a frame may be.
        waiting_room: How many frames may wait for each release.
    """

    def __init__(
        self,
        *,
        store: Store,
        backend: InferenceClient,
        metrics: Metrics,
        limits: FrameLimits,
        waiting_room: int,
    ) -> None:
        self.id = f"gateway-{uuid.uuid4().hex[:12]}"
        self._metrics = metrics
        self._seen: set[ReleaseKey] = set()
        self._lanes = Lanes(waiting_room=waiting_room)
        self._in_flight = InFlight(self._counted)
        self.routes = RouteWatcher(store, self._applied)
        self._heartbeat = Heartbeat(store, self.id, self._beat)
        self.gateway = Gateway(
            routes=self.routes,
            backend=backend,
            in_flight=self._in_flight,
            lanes=self._lanes,
            metrics=metrics,
            limits=limits,
        )
        self._store = store

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Gateway]:
        """Keep the gateway's route and heartbeat going for as long as the block runs."""
        # The row first: a drain that starts now waits until this gateway has applied its revision.
        await self._store.join_gateway(self.id)
        await self.routes.refresh()
        follow = (self.routes.follow(), self._heartbeat.follow())
        tasks = [asyncio.create_task(one) for one in follow]
        try:
            yield self.gateway
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._store.leave_gateway(self.id)

    def _beat(self) -> tuple[int, dict[str, int]]:
        return self.routes.table.revision, self._in_flight.counts()

    def _counted(self, key: ReleaseKey, count: int) -> None:
        self._seen.add(key)
        self._metrics.in_flight.labels(key.model, key.version).set(count)
        if count == 0 and not self.routes.table.names(key):
            # A drain is waiting for just this.
            self._heartbeat.soon()

    def _applied(self, table: RouteTable) -> None:
        self._heartbeat.soon()
        self._metrics.show_routes(table.revision, table.routes.values())
        for key in [key for key in self._seen if self._is_gone(table, key)]:
            self._seen.discard(key)
            self._lanes.forget(key)
            self._metrics.forget(key)

    def _is_gone(self, table: RouteTable, key: ReleaseKey) -> bool:
        release = table.releases.get(key)
        unused = not table.names(key) and self._in_flight.of(key) == 0
        return unused and (release is None or release.state in _GONE)
