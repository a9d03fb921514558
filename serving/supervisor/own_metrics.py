"""One process's metrics, for the supervisor alone: it merges them with the others'."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing

from fastapi import FastAPI, Response
from prometheus_client import (
    CollectorRegistry,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from serving.api.listening import bind, http_server

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_STOP_S = 1.0


@asynccontextmanager
async def metrics_server(text: Callable[[], bytes]) -> AsyncIterator[str]:
    """Serve a process's metrics, and what the process uses, on the loopback interface.

    Args:
        text: Returns what is counted, in Prometheus' text format.

    Yields:
        The address.
    """
    # When each series began: a tenth more of them, which Prometheus' text format cannot use.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    used = CollectorRegistry()
    ProcessCollector(registry=used)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/metrics")
    async def show() -> Response:
        return Response(text() + generate_latest(used), media_type=MEDIA_TYPE)

    with closing(bind("127.0.0.1", 0, "metrics_port")) as listener:
        async with http_server(app, listener, stop_timeout_s=_STOP_S):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/metrics"
