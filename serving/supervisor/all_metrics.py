"""A deployment's metrics on one port: ours as one text, and TorchServe's own beside it.

Nobody is asked for a key: Prometheus has none, and nothing here names a camera or shows an image.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
import structlog
from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.supervisor.merged_metrics import LABEL, merge
from serving.supervisor.own_metrics import MEDIA_TYPE
from serving.supervisor.processes import ProcessInfo

_log = structlog.get_logger(__name__)

# Prometheus' own patience is 10 s.
_PATIENCE = aiohttp.ClientTimeout(total=5.0)

Urls = Callable[[], Mapping[str, str]]
"""Returns addresses by the name of the process."""


def metrics_app(
    processes: Callable[[], Mapping[str, ProcessInfo]], urls: Urls, torchserve: Urls
) -> FastAPI:
    """Return the application that merges all processes' metrics.

    Args:
        processes: Returns what runs now.
        urls: Where the metrics are of those of our processes that have any now.
        torchserve: Where each TorchServe's own are; its ports are others at each start.
    """
    app = FastAPI(title="Understudy metrics", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/metrics")
    async def show() -> Response:
        """Ours: gateways', controller's and what the supervisor knows."""
        async with aiohttp.ClientSession(timeout=_PATIENCE) as http:
            told = await asyncio.gather(*(_told(http, *one) for one in urls().items()))
        texts = {name: text for name, text in told if text is not None}
        merged = await asyncio.to_thread(merge, texts)
        return Response(merged + _of(processes()), media_type=MEDIA_TYPE)

    @app.get("/torchserve/{name}/metrics")
    async def show_torchserve(name: str) -> Response:
        """A TorchServe's own, as it says them."""
        url = torchserve().get(name)
        if url is None:
            return Response(status_code=HTTPStatus.NOT_FOUND)
        async with aiohttp.ClientSession(timeout=_PATIENCE) as http:
            _, text = await _told(http, name, url)
        if text is None:
            return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE)
        return Response(text, media_type=MEDIA_TYPE)

    @app.get("/targets")
    async def list_torchserve(request: Request) -> list[dict[str, Any]]:
        """The TorchServes, as Prometheus' `http_sd_configs` reads them."""
        return [
            {
                "targets": [request.url.netloc],
                "labels": {"__metrics_path__": f"/torchserve/{name}/metrics", LABEL: name},
            }
            for name in torchserve()
        ]

    return app


async def _told(http: aiohttp.ClientSession, name: str, url: str) -> tuple[str, str | None]:
    """Return what one process tells; None when it has just gone."""
    try:
        async with http.get(url) as reply:
            reply.raise_for_status()
            return name, await reply.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        _log.warning("metrics_missing", child=name, error=str(error))
        return name, None


class _Supervised(Collector):
    """What the supervisor knows of its children."""

    def __init__(self, processes: Mapping[str, ProcessInfo]) -> None:
        self._processes = processes

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily(
            "understudy_process_up", "1 while the process serves", labels=(LABEL,)
        )
        restarts = CounterMetricFamily(
            "understudy_process_restarts",
            "How often the process was started again",
            labels=(LABEL,),
        )
        for name, info in self._processes.items():
            up.add_metric((name,), info.up)
            restarts.add_metric((name,), info.restarts)
        return (up, restarts)


def _of(processes: Mapping[str, ProcessInfo]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Supervised(processes))
    return generate_latest(registry)
