"""A gateway as a process: the data plane, and cameras' ways in."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from grpc_health.v1 import health_pb2

from serving.api.grpc import DetectionService
from serving.api.grpc_listening import SERVICE, GrpcListener, Health, bind_grpc, grpc_server
from serving.api.http import create_http
from serving.api.image_budget import ImageBudget
from serving.api.listening import http_server
from serving.api.stream_ends import StreamLimits
from serving.api.v2 import V2
from serving.api.v2_grpc import V2Service
from serving.api.v2_http import add_v2_http
from serving.api.v2_models import Models
from serving.dataplane.endpoints import Predictor
from serving.dataplane.frame_log import FrameLog
from serving.dataplane.frames import FrameLimits
from serving.dataplane.plane import DataPlane
from serving.metrics.gateway.metrics import Metrics
from serving.supervisor.closed_together import closed_together
from serving.supervisor.connections import Connections, connected
from serving.supervisor.own_metrics import metrics_server
from serving.supervisor.readiness import Readiness
from serving.supervisor.wiring import Wiring
from serving.tls.certificate_series import CertificateSeries
from serving.tls.opened import opened_tls
from serving.tls.server_tls import ServerTls
from serving.tracing.opened import opened
from serving.tracing.tracing import Tracing

# A camera of 5 frames a second sends its next within 200 ms.
_LINGER_S = 0.5


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
    metrics, settings = Metrics(), wiring.settings
    share, name = settings.tracing_share, wiring.name
    async with (
        metrics_server(metrics.text) as metrics_url,
        opened(settings.tracing, share=share, process=name, instance=wiring.id) as tracing,
        connected(wiring, tracing.headers) as connections,
        opened_tls(settings.tls, CertificateSeries(metrics.registry), "http", "grpc") as tls,
        _listening(wiring, connections, metrics, tracing, tls),
    ):
        yield metrics_url


@asynccontextmanager
async def _listening(
    wiring: Wiring,
    connections: Connections,
    metrics: Metrics,
    tracing: Tracing,
    tls: ServerTls | None,
) -> AsyncIterator[None]:
    plane = _plane(wiring, connections, metrics, tracing)
    connections.backends.watch(lambda: plane.take_backends(_clients(connections)))
    leaving = asyncio.Event()
    readiness = Readiness(plane.ready, leaving)
    async with plane.running() as gateway, closed_together() as enter:
        budget = ImageBudget(wiring.settings.image_budget_bytes)
        keys = connections.authenticator
        models = Models(lambda: plane.routes.table, readiness.missing)
        v2 = V2(gateway, models, keys, metrics, budget)
        http = create_http(gateway, keys, metrics, readiness.missing, budget=budget)
        add_v2_http(http, v2)
        patience_s = wiring.settings.stop_timeout_s
        stopping = asyncio.Event()
        health = await enter(
            grpc_server(
                _grpc_listener(wiring, tls),
                DetectionService(
                    gateway,
                    keys,
                    metrics,
                    stopping,
                    budget=budget,
                    streams=StreamLimits(age_s=wiring.settings.connection_age_s),
                ),
                stopping=stopping,
                stop_timeout_s=patience_s,
                v2=V2Service(v2),
            )
        )
        listener = socket.socket(fileno=wiring.listener)
        await enter(
            http_server(
                http,
                listener,
                stop_timeout_s=patience_s,
                linger_s=_LINGER_S,
                tls=None if tls is None else tls.context,
            )
        )
        async with _reported(readiness, health):
            try:
                yield
            finally:
                # Readiness goes before anything else does: nobody new is sent here.
                leaving.set()


def _plane(
    wiring: Wiring, connections: Connections, metrics: Metrics, tracing: Tracing
) -> DataPlane:
    settings = wiring.settings
    return DataPlane(
        store=connections.store,
        backends=_clients(connections),
        metrics=metrics,
        limits=FrameLimits(settings.image_limit_bytes),
        waiting_room=settings.waiting_room,
        gateway_id=wiring.id,
        harvest=settings.harvest_plan,
        log=FrameLog(slow_s=settings.log_slow_ms / 1000, answers_share=settings.log_answers),
        tracing=tracing,
        camera_fps=settings.camera_frames_per_second,
    )


def _clients(connections: Connections) -> Mapping[str, Predictor]:
    return {one.name: one.inference for one in connections.backends}


def _grpc_listener(wiring: Wiring, tls: ServerTls | None) -> GrpcListener:
    return bind_grpc(
        wiring.grpc_host,
        wiring.grpc_port,
        image_limit_bytes=wiring.settings.image_limit_bytes,
        connection_age_s=wiring.settings.connection_age_s,
        shared=True,
        tls=tls,
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
