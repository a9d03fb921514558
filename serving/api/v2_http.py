"""The Open Inference Protocol over REST: thin over the gateway.

Mounted under /v2 as an application of its own, so that whatever goes wrong there answers in the
protocol's shape, `{"error": "what is wrong"}`.
"""

import asyncio
from http import HTTPStatus

import orjson
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from serving import errors
from serving.api.auth import http_key
from serving.api.disconnects import cancelled_on_disconnect
from serving.api.image_budget import Account
from serving.api.request_ids import request_id_of
from serving.api.timeouts import deadline_of
from serving.api.v2 import V2
from serving.api.v2_bodies import check_plain, read_body
from serving.api.v2_http_errors import CLIENT_CLOSED_REQUEST, answered, refused
from serving.api.v2_infer import infer, repository_refusal
from serving.api.v2_json import HEADER_LENGTH, read_json, read_object, write_json
from serving.api.v2_models import (
    EXTENSIONS,
    INPUT_INFOS,
    NOTES,
    OUTPUT_INFOS,
    PLATFORM,
    SERVER,
)
from serving.api.v2_openapi import with_v2
from serving.api.v2_options import sooner
from serving.dataplane.calls import Call
from serving.store.values import ApiKey

PREFIX = "/v2"
TIMEOUT_HEADER = "X-Timeout-Ms"
_JSON = "application/json"
# An index request, and what stands around the images of an inference request.
_ROOM_BYTES = 1024 * 1024


def add_v2_http(app: FastAPI, v2: V2) -> None:
    """Serve the protocol under /v2 of `app`, and describe it beside what `app` describes."""
    calls = V2Http(v2)
    # Without a slash at its end a mount does not match; a redirect is not followed by all clients.
    app.router.routes.append(Route(PREFIX, answered(calls.server_metadata)))
    inner = Starlette(routes=_routes(calls), exception_handlers={HTTPException: refused})
    app.mount(PREFIX, inner)
    if app.openapi_schema is not None:
        app.openapi_schema = with_v2(app.openapi_schema)


def _routes(calls: "V2Http") -> list[Route]:
    named, versioned = "/models/{name}", "/models/{name}/versions/{version}"
    routes = [
        Route("/", answered(calls.server_metadata)),
        Route("/health/live", answered(calls.live)),
        Route("/health/ready", answered(calls.ready)),
        Route("/repository/index", answered(calls.index), methods=["POST"]),
        Route("/repository/models/{name}/load", answered(calls.refuse), methods=["POST"]),
        Route("/repository/models/{name}/unload", answered(calls.refuse), methods=["POST"]),
    ]
    for path in (named, versioned):
        routes += [
            Route(path, answered(calls.model_metadata)),
            Route(f"{path}/ready", answered(calls.model_ready)),
            Route(f"{path}/infer", answered(calls.infer), methods=["POST"]),
        ]
    return routes


class V2Http:
    """The protocol's calls; see `add_v2_http`."""

    def __init__(self, v2: V2) -> None:
        self._v2 = v2

    async def live(self, _: Request) -> Response:
        """Answer that the process runs."""
        return _answer({"live": True})

    async def ready(self, _: Request) -> Response:
        """Tell whether frames can be answered; the protocol says "no" with a 4xx."""
        ready = self._v2.models.server_ready()
        return _answer({"ready": ready}, HTTPStatus.OK if ready else HTTPStatus.BAD_REQUEST)

    async def model_ready(self, request: Request) -> Response:
        """Tell whether a route, or a release of it, can answer."""
        name, version = _model(request)
        ready = self._v2.models.ready(name, version)
        status = HTTPStatus.OK if ready else HTTPStatus.BAD_REQUEST
        return _answer({"name": name, "ready": ready}, status)

    async def server_metadata(self, request: Request) -> Response:
        """Tell who this is."""
        await self._authenticated(request)
        return _answer(
            {"name": SERVER, "version": self._v2.models.server_version, "extensions": EXTENSIONS}
        )

    async def model_metadata(self, request: Request) -> Response:
        """Tell a route's releases and tensors."""
        await self._authenticated(request)
        model = self._v2.models.model(*_model(request))
        return _answer(
            {
                "name": model.name,
                "versions": model.versions,
                "platform": PLATFORM,
                "inputs": INPUT_INFOS,
                "outputs": OUTPUT_INFOS,
                "parameters": NOTES,
            }
        )

    async def index(self, request: Request) -> Response:
        """List every release of every route."""
        await self._authenticated(request)
        said = read_object(await read_body(request, None, _ROOM_BYTES))
        only_ready = said.get("ready", False)
        if not isinstance(only_ready, bool):
            raise errors.InvalidField("ready", "ready: must be true or false")
        return _answer(self._v2.models.index(only_ready=only_ready))

    async def refuse(self, request: Request) -> Response:
        """Refuse to load or unload."""
        await self._authenticated(request)
        raise repository_refusal()

    async def infer(self, request: Request) -> Response:
        """Answer the images of a request."""
        error: BaseException | None = None
        try:
            with self._v2.budget.account() as account:
                return await self._infer(request, account)
        except ClientDisconnect:
            error = asyncio.CancelledError()
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        except BaseException as failed:
            error = failed
            raise
        finally:
            self._v2.metrics.count_answer("v2_http", error)
            error = None  # a ring otherwise: it knows this call, and the image

    async def _infer(self, request: Request, account: Account) -> Response:
        # The key before the body: a stranger's megabytes are not read.
        key = await self._authenticated(request)
        check_plain(request)
        asked = deadline_of(TIMEOUT_HEADER, request.headers.get(TIMEOUT_HEADER))
        body = await read_body(request, asked, self._most_bytes(), account)
        read = read_json(body, request.headers.get(HEADER_LENGTH), *_model(request))
        deadline = sooner(asked, read.request.options.deadline)
        call = Call.of(key, request_id_of(request), deadline, request.headers)
        async with cancelled_on_disconnect(request):
            answer = await infer(read.request, self._v2.gateway, self._v2.models, call)
        body, length = write_json(answer, read.binary)
        if length is None:
            return Response(body, media_type=_JSON)
        return Response(
            body,
            headers={HEADER_LENGTH: str(length)},
            media_type="application/octet-stream",
        )

    async def _authenticated(self, request: Request) -> ApiKey:
        return await self._v2.key_of(http_key(request))

    def _most_bytes(self) -> int:
        """Return the largest body: all images of a request together are one image's limit."""
        base64_bytes = 4 * (self._v2.gateway.limits.image_bytes // 3 + 1)
        return base64_bytes + _ROOM_BYTES


def _answer(said: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(orjson.dumps(said), status, media_type=_JSON)


def _model(request: Request) -> tuple[str, str]:
    return request.path_params["name"], request.path_params.get("version", "")
