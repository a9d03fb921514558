"""HTTP: thin over the gateway."""

import asyncio
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.requests import ClientDisconnect

from proto.wire.v1 import detection_pb2 as wire
from serving.access.authenticator import Authenticator
from serving.api import openapi
from serving.api.auth import http_key
from serving.api.disconnects import cancelled_on_disconnect
from serving.api.http_errors import answer_errors, error_answer
from serving.api.image_budget import ImageBudget
from serving.api.json_answers import to_json
from serving.api.request_ids import REQUEST_ID_HEADER, request_id_of
from serving.api.timeouts import deadline_of
from serving.api.uploads import largest_body, read_request
from serving.dataplane.deadline import Deadline
from serving.dataplane.gateway import Call, Gateway
from serving.errors import BackendUnavailable, DeadlineExceeded
from serving.metrics.gateway.metrics import Metrics
from serving.store.values import Scope

TIMEOUT_HEADER = "X-Timeout-Ms"
# A sender that stalls must not hold a connection for ever.
_UPLOAD_S = 30.0
# nginx's word for a client that left; nobody reads it but our own log.
_CLIENT_CLOSED_REQUEST = 499


def create_http(
    gateway: Gateway,
    authenticator: Authenticator,
    metrics: Metrics,
    not_ready: Callable[[], str | None],
    *,
    budget: ImageBudget | None = None,
) -> FastAPI:
    """Return the application that cameras talk to.

    Args:
        gateway: Answers.
        authenticator: Checks keys. Probes, metrics and the API's description ask for none: they
            tell of no frame.
        metrics: What `/metrics` shows.
        not_ready: Returns why frames cannot be answered now, or None.
        budget: Of the gateway's images, shared with gRPC.
    """
    # No documentation pages: they would load their scripts from elsewhere.
    app = FastAPI(title="Understudy", docs_url=None, redoc_url=None, openapi_url=None)
    answer_errors(app)
    _add_detect(app, gateway, authenticator, metrics, budget or ImageBudget())
    _add_probes(app, metrics, not_ready)
    app.openapi_schema = _description(app)

    @app.get("/openapi.json", include_in_schema=False)
    async def describe() -> dict[str, Any]:
        return app.openapi_schema or {}

    return app


def _add_detect(
    app: FastAPI,
    gateway: Gateway,
    authenticator: Authenticator,
    metrics: Metrics,
    budget: ImageBudget,
) -> None:
    operation = openapi.detect_operation(gateway.limits.image_bytes)

    @app.post("/v1/detect", openapi_extra=operation, response_class=Response)
    async def detect(request: Request) -> Response:
        error: BaseException | None = None
        try:
            return await _detect(request, gateway, authenticator, budget)
        except ClientDisconnect:
            error = asyncio.CancelledError()
            return Response(status_code=_CLIENT_CLOSED_REQUEST)
        except Exception as failed:  # noqa: BLE001 - `error_answer` logs what is not ours
            error = failed
            return await error_answer(request, failed)
        finally:
            metrics.count_answer("http", error)
            error = None  # a ring otherwise: it knows this call, and the image


def _add_probes(app: FastAPI, metrics: Metrics, not_ready: Callable[[], str | None]) -> None:
    @app.get("/livez", summary="The process runs")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", summary="Frames can be answered")
    async def readyz() -> dict[str, str]:
        if (reason := not_ready()) is not None:
            raise BackendUnavailable(reason)
        return {"status": "ready"}

    @app.get("/metrics", summary="For Prometheus", response_class=Response)
    async def show_metrics() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _description(app: FastAPI) -> dict[str, Any]:
    described = get_openapi(
        title="Understudy",
        version=version("understudy"),
        routes=app.routes,
        license_info={"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
    )
    # FastAPI's own error shape is not what we answer with.
    return described | {"components": openapi.components()}


async def _detect(
    request: Request, gateway: Gateway, authenticator: Authenticator, budget: ImageBudget
) -> Response:
    # The key before the body: a stranger's megabytes are not read.
    key = await authenticator.authenticate(http_key(request), Scope.DETECT)
    deadline = deadline_of(TIMEOUT_HEADER, request.headers.get(TIMEOUT_HEADER))
    request_id = request_id_of(request)
    with budget.account() as account:
        # Before the body, too: what does not fit is not read.
        account.take(largest_body(request, gateway.limits.image_bytes))
        frame = await _read(request, deadline, gateway.limits.image_bytes)
        account.give_back(account.taken_bytes - len(frame.image))
        async with cancelled_on_disconnect(request):
            call = Call.of(key, request_id, deadline, request.headers)
            response = await gateway.detect(frame, call)
    return Response(
        to_json(response),
        headers={REQUEST_ID_HEADER: request_id},
        media_type="application/json",
    )


async def _read(request: Request, deadline: Deadline | None, limit: int) -> wire.DetectRequest:
    patience_s = _UPLOAD_S if deadline is None else min(_UPLOAD_S, deadline.remaining_s())
    try:
        async with asyncio.timeout(patience_s):
            return await read_request(request, limit)
    except TimeoutError:
        raise DeadlineExceeded(f"the body did not arrive within {patience_s:.3g} s") from None
