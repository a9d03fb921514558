"""Opens a gateway with everything that keeps it true, and closes it in reverse."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from serving.dataplane.allowances import Allowances
from serving.dataplane.breaker import BreakerState
from serving.dataplane.endpoints import Endpoint, Endpoints, Predictor
from serving.dataplane.fallback import Fallback
from serving.dataplane.fence import Fence
from serving.dataplane.frame_log import FrameLog
from serving.dataplane.frames import FrameLimits
from serving.dataplane.gateway import Gateway
from serving.dataplane.harvest import Harvest
from serving.dataplane.harvest_plan import HarvestPlan
from serving.dataplane.heartbeat import Heartbeat
from serving.dataplane.inflight import InFlight
from serving.dataplane.lanes import Lanes
from serving.dataplane.patience import Patience
from serving.dataplane.recorder import Recorder
from serving.dataplane.route_table import RouteTable
from serving.dataplane.sender import Sender
from serving.dataplane.shadow import Shadow
from serving.dataplane.token_bucket import TokenBucket
from serving.dataplane.traffic import Traffic
from serving.dataplane.upstream import Upstream
from serving.dataplane.watcher import RouteWatcher
from serving.metrics.gateway.metrics import Metrics
from serving.store.store import Store
from serving.store.values import ReleaseKey, ReleaseState, Route
from serving.torchserve.config import TorchServeConfig
from serving.tracing.tracing import Tracing

_GONE = frozenset({ReleaseState.RETIRED, ReleaseState.FAILED})
_SHADOW_STOP_S = 2.0


class DataPlane:
    """One gateway of the deployment: the use case, its route, its heartbeat, its windows.

    Args:
        store: Where the planes meet.
        backends: Where the workers are, by the name that placements know.
        metrics: Where everything is counted.
        limits: What a frame may be.
        waiting_room: How many frames may wait for each release.
        gateway_id: Unique to the process; None: made up.
        harvest: Which frames are kept on which the arms disagree; None: none.
        log: Says which frames failed or were slow.
        tracing: Is told of each frame's steps; None: nobody is.
        camera_fps: Frames a second that each camera may have answered here; 0: no limit.
    """

    def __init__(
        self,
        *,
        store: Store,
        backends: Mapping[str, Predictor],
        metrics: Metrics,
        limits: FrameLimits,
        waiting_room: int,
        gateway_id: str | None = None,
        harvest: HarvestPlan | None = None,
        log: FrameLog | None = None,
        tracing: Tracing | None = None,
        camera_fps: float = 0.0,
    ) -> None:
        self.id = gateway_id or f"gateway-{uuid.uuid4().hex[:12]}"
        self._store = store
        self._metrics = metrics
        self._seen: set[ReleaseKey] = set()
        self._in_flight = InFlight(self._counted)
        self.routes = RouteWatcher(store, self._applied)
        self._heartbeat = Heartbeat(store, self.id, self._beat)
        self._fence = Fence(self._heartbeat, self.routes)
        self._endpoints = Endpoints(backends, self._show_breaker, gone=self._hide_breaker)
        self._upstream = Upstream(self._endpoints, metrics.faults, tracing=tracing)
        # Without a budget: what only compares is not sent twice at the cameras' expense.
        self._shadow_upstream = Upstream(
            self._endpoints, metrics.faults, TokenBucket(share=0, most=0), tracing
        )
        self._lanes = Lanes(
            waiting_room=waiting_room,
            ready_workers=self._endpoints.ready_workers,
            live_gateways=lambda: self._heartbeat.live_gateways,
            backend_queue=TorchServeConfig.job_queue_size,
        )
        self._recorder = Recorder(store, self.id, dropped=metrics.faults.windows_dropped.inc)
        self._harvest = Harvest(harvest, metrics.shadow.count_harvest) if harvest else None
        self._shadow = Shadow(
            upstream=self._shadow_upstream,
            in_flight=self._in_flight,
            lanes=self._lanes,
            recorder=self._recorder,
            metrics=metrics.shadow,
            harvest=self._harvest,
            tracing=tracing,
        )
        self.gateway = Gateway(
            routes=self.routes,
            fence=self._fence,
            sender=Sender(self._upstream, self._lanes, self._in_flight, tracing, metrics.faults),
            fallback=Fallback(self._lanes, self._upstream, metrics.faults),
            patience=Patience(self._upstream, room=waiting_room),
            traffic=Traffic(metrics, self._recorder),
            limits=limits,
            allowances=Allowances(camera_fps=camera_fps, refused=metrics.count_rate_limited),
            shadow=self._shadow,
            log=log,
            tracing=tracing,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Gateway]:
        """Keep the gateway's route and heartbeat going for as long as the block runs."""
        async with AsyncExitStack() as stack:
            # The row first: a drain that starts now waits until this gateway has applied its
            # revision.
            await self._store.join_gateway(self.id)
            stack.push_async_callback(self._store.leave_gateway, self.id)
            await self.routes.refresh()
            await self._fence.begin()
            stack.push_async_callback(self._recorder.flush, everything=True)
            if self._harvest is not None:
                await stack.enter_async_context(self._harvest.running())
            await stack.enter_async_context(self._followed())
            stack.push_async_callback(self._shadow.close, _SHADOW_STOP_S)
            yield self.gateway

    def take_backends(self, backends: Mapping[str, Predictor]) -> None:
        """Send by other backends from now on; one that is gone answers what it has."""
        self._endpoints.use(backends)
        self._endpoints.apply(self.routes.table)

    def ready(self) -> str | None:
        """Return why frames cannot be answered; None when they can."""
        if not self._heartbeat.holds_lease():
            return "this gateway has lost touch with the store and may not send; it tries again"
        table = self.routes.table
        if not table.routes:
            return (
                "no route yet: deploy a release (`understudy deploy`) and set a route "
                "(`understudy route set`)"
            )
        missing = (self._missing(route) for route in table.routes.values())
        return next((reason for reason in missing if reason is not None), None)

    def _missing(self, route: Route) -> str | None:
        for arm in route.arms:
            if arm.weight > 0 and not self._endpoints.is_ready(arm.release):
                return (
                    f"no backend answers for {arm.release}, arm {arm.name!r} of route "
                    f"{route.name!r}; its workers are being started"
                )
        return None

    @asynccontextmanager
    async def _followed(self) -> AsyncIterator[None]:
        follow = (self.routes.follow(), self._heartbeat.follow(), self._recorder.follow())
        tasks = [asyncio.create_task(one) for one in follow]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _beat(self) -> tuple[int, dict[str, int]]:
        return self.routes.table.revision, self._in_flight.counts()

    def _counted(self, key: ReleaseKey, count: int) -> None:
        self._seen.add(key)
        self._metrics.in_flight.labels(key.model, key.version).set(count)
        if count == 0 and not self.routes.table.names(key):
            # A drain is waiting for just this.
            self._heartbeat.soon()

    def _show_breaker(self, endpoint: Endpoint, state: BreakerState) -> None:
        key = endpoint.key
        self._seen.add(key)
        self._metrics.faults.show_breaker(endpoint.backend, key, state)

    def _hide_breaker(self, endpoint: Endpoint) -> None:
        self._metrics.faults.hide_breaker(endpoint.backend, endpoint.key)

    def _applied(self, table: RouteTable) -> None:
        self._heartbeat.soon()
        self._metrics.recall(key for key in table.releases if not self._is_gone(table, key))
        self._endpoints.apply(table)
        self._metrics.show_routes(table.revision, table.routes.values())
        for key in [key for key in self._seen if self._is_gone(table, key)]:
            self._seen.discard(key)
            self._lanes.forget(key)
            self._upstream.forget(key)
            self._shadow_upstream.forget(key)
            self._metrics.forget(key)

    def _is_gone(self, table: RouteTable, key: ReleaseKey) -> bool:
        release = table.releases.get(key)
        if release is not None and release.state not in _GONE:
            return False
        return not table.names(key) and self._in_flight.of(key) == 0
