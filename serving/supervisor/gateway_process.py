"""A gateway as a process: the data plane, and cameras' ways in."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from grpc_health.v1 import health_pb2

from serving.api.grpc import DetectionService
from serving.api.grpc_listening import SERVICE, Health, bind_grpc, grpc_server
from serving.api.http import create_http
from serving.api.image_budget import ImageBudget
from serving.api.listening import http_server
from serving.dataplane.frames import FrameLimits
from serving.dataplane.harvest_plan import HarvestPlan
from serving.dataplane.plane import DataPlane
from serving.metrics import Metrics
from serving.readiness import Readiness
from serving.settings import Settings
from serving.supervisor.closed_together import closed_together
from serving.supervisor.connections import Connections, connected
from serving.supervisor.own_metrics import metrics_server
from serving.supervisor.wiring import Wiring


@asynccontextmanager
async def gateway_process(wiring: Wiring) -> AsyncIterator[str]:
    """Answer cameras; closing it answers what is under way first.

    Args:
        wiring: From the supervisor.

    Yields:
        Where the process's own metrics are.

    Raises:
        UnderstudyError: It cannot serve.
    """
    metrics = Metrics()
    async with (
        metrics_server(metrics.text) as metrics_url,
        connected(wiring) as connections,
        _listening(wiring, connections, metrics),
    ):
        yield metrics_url


@asynccontextmanager
async def _listening(
    wiring: Wiring, connections: Connections, metrics: Metrics
) -> AsyncIterator[None]:
    settings = wiring.settings
    plane = DataPlane(
        store=connections.store,
        backends={one.name: one.inference for one in connections.backends},
        metrics=metrics,
        limits=FrameLimits(settings.image_limit_bytes),
        waiting_room=settings.waiting_room,
        gateway_id=wiring.id,
        harvest=_harvest(settings),
    )
    stopping = asyncio.Event()
    readiness = Readiness(plane.ready, stopping)
    async with plane.running() as gateway:
        budget = ImageBudget(settings.image_budget_bytes)
        service = DetectionService(
            gateway, connections.authenticator, metrics, stopping, budget=budget
        )
        grpc = bind_grpc(
            wiring.grpc_host,
            wiring.grpc_port,
            image_limit_bytes=settings.image_limit_bytes,
            shared=True,
        )
        http = create_http(
            gateway, connections.authenticator, metrics, readiness.missing, budget=budget
        )
        patience_s = settings.stop_timeout_s
        async with closed_together() as enter:
            health = await enter(
                grpc_server(grpc, service, stopping=stopping, stop_timeout_s=patience_s)
            )
            listener = socket.socket(fileno=wiring.listener)
            await enter(http_server(http, listener, stop_timeout_s=patience_s))
            async with _reported(readiness, health):
                try:
                    yield
                finally:
                    # Readiness goes before anything else does.
                    stopping.set()


def _harvest(settings: Settings) -> HarvestPlan | None:
    if settings.harvest_dir is None:
        return None
    return HarvestPlan(
        folder=settings.harvest_dir,
        below_f1=settings.harvest_below_f1,
        max_per_minute=settings.harvest_per_minute,
        max_bytes=settings.harvest_max_mb * 10**6,
        max_age_days=settings.harvest_max_days,
    )


@asynccontextmanager
async def _reported(readiness: Readiness, health: Health) -> AsyncIterator[None]:
    """Keep grpc.health.v1 at what readiness says; not serving from the block's end on."""
    status = health_pb2.HealthCheckResponse

    async def tell(ready: bool) -> None:
        for service in ("", SERVICE):
            await health.set(service, status.SERVING if ready else status.NOT_SERVING)

    reporting = asyncio.create_task(readiness.report(tell))
    try:
        yield
    finally:
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)
        # Before the first listener drains: its last requests may take long.
        await tell(ready=False)
