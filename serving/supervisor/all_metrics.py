"""Every process's metrics on one port: what Prometheus reads of a deployment."""

import asyncio
from collections.abc import Callable, Mapping

import aiohttp
import structlog
from fastapi import FastAPI, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from serving.supervisor.merged_metrics import LABEL, merge
from serving.supervisor.own_metrics import MEDIA_TYPE
from serving.supervisor.processes import ProcessInfo

_log = structlog.get_logger(__name__)

# Prometheus' own patience is 10 s.
_PATIENCE = aiohttp.ClientTimeout(total=5.0)


def metrics_app(
    processes: Callable[[], Mapping[str, ProcessInfo]], urls: Callable[[], Mapping[str, str]]
) -> FastAPI:
    """Return the application that merges all processes' metrics.

    Args:
        processes: Returns what runs now.
        urls: Returns where the metrics are of those that have any now, by process.
    """
    app = FastAPI(title="Understudy metrics", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/metrics")
    async def show() -> Response:
        async with aiohttp.ClientSession(timeout=_PATIENCE) as http:
            told = await asyncio.gather(*(_told(http, *one) for one in urls().items()))
        texts = {name: text for name, text in told if text is not None}
        merged = await asyncio.to_thread(merge, texts)
        return Response(merged + _of(processes()), media_type=MEDIA_TYPE)

    return app


async def _told(http: aiohttp.ClientSession, name: str, url: str) -> tuple[str, str | None]:
    """Return what one process tells; None when it has just gone."""
    try:
        async with http.get(url) as reply:
            reply.raise_for_status()
            return name, await reply.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        _log.warning("metrics_missing", process=name, error=str(error))
        return name, None


def _of(processes: Mapping[str, ProcessInfo]) -> bytes:
    registry = CollectorRegistry()
    up = Gauge("understudy_process_up", "1 while the process serves", (LABEL,), registry=registry)
    restarts = Counter(
        "understudy_process_restarts",
        "How often the process was started again",
        (LABEL,),
        registry=registry,
    )
    for name, info in processes.items():
        up.labels(name).set(info.up)
        restarts.labels(name).inc(info.restarts)
    return generate_latest(registry)
