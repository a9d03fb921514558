"""Errors as the Open Inference Protocol's REST answers them: `{"error": "what is wrong"}`."""

from collections.abc import Awaitable, Callable

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from serving import errors
from serving.api.http_errors import headers_of, status_of
from serving.api.internal_errors import say_internal_error, told_of
from serving.api.request_ids import REQUEST_ID_HEADER, request_id_of
from serving.error_info import describe

# nginx's word for a client that left; nobody reads it but our own log.
CLIENT_CLOSED_REQUEST = 499
Answers = Callable[[Request], Awaitable[Response]]


def answered(answers: Answers) -> Answers:
    """Return the endpoint with its errors in the protocol's shape and the request's id told."""

    async def endpoint(request: Request) -> Response:
        try:
            response = await answers(request)
        except ClientDisconnect:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        except Exception as error:  # noqa: BLE001 - what is not ours is logged there
            return _failed(request, error)
        response.headers[REQUEST_ID_HEADER] = request_id_of(request)
        return response

    return endpoint


def _failed(request: Request, error: Exception) -> Response:
    request_id = request_id_of(request)
    if not isinstance(error, errors.UnderstudyError):
        say_internal_error(error, request_id=request_id, path=request.url.path)
    error = told_of(error)
    return Response(
        orjson.dumps({"error": describe(error).message}),
        status_of(error),
        headers={REQUEST_ID_HEADER: request_id, **headers_of(error)},
        media_type="application/json",
    )


async def refused(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: an unknown path, a method it does not have."""
    if not isinstance(error, HTTPException):
        return _failed(request, error)
    said = {"error": f"{request.method} {request.url.path[:256]}: {error.detail}"}
    return Response(
        orjson.dumps(said),
        error.status_code,
        headers={REQUEST_ID_HEADER: request_id_of(request), **(error.headers or {})},
        media_type="application/json",
    )
