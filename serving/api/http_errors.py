"""Errors as HTTP answers: one table, one shape.

Every error reads `{"error": {"code", "message", "field", "requestId"}}`; `field` is "" where no
single field is at fault.
"""

import math
from http import HTTPStatus

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from serving import error_info, errors
from serving.api.complaints import complaint
from serving.api.internal_errors import say_internal_error, told_of
from serving.api.request_ids import REQUEST_ID_HEADER, request_id_of

_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


class UnsupportedMediaType(errors.RequestError):
    """The body is neither an image nor multipart: only HTTP can ask so."""

    code = "unsupported_media_type"


STATUS: dict[type, HTTPStatus] = {
    errors.UnderstudyError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.RequestError: HTTPStatus.BAD_REQUEST,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.PermissionDenied: HTTPStatus.FORBIDDEN,
    errors.InvalidField: HTTPStatus.BAD_REQUEST,
    errors.MissingCameraId: HTTPStatus.BAD_REQUEST,
    errors.UnknownRoute: HTTPStatus.NOT_FOUND,
    errors.UnknownArm: HTTPStatus.NOT_FOUND,
    errors.UnknownKey: HTTPStatus.NOT_FOUND,
    errors.UnknownCamera: HTTPStatus.NOT_FOUND,
    errors.ImageTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.BadImage: HTTPStatus.BAD_REQUEST,
    errors.Overloaded: HTTPStatus.TOO_MANY_REQUESTS,
    errors.RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    errors.DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
    errors.StreamError: HTTPStatus.CONFLICT,
    errors.StreamEnded: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.CameraTakenOver: HTTPStatus.CONFLICT,
    errors.UpstreamError: HTTPStatus.BAD_GATEWAY,
    errors.WorkerFailed: HTTPStatus.BAD_GATEWAY,
    errors.WorkerDied: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StaleRoute: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.BackendUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ReleaseError: HTTPStatus.CONFLICT,
    errors.ArchiveRejected: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ReleaseConflict: HTTPStatus.CONFLICT,
    errors.ReleaseNotFound: HTTPStatus.NOT_FOUND,
    errors.ReleaseBusy: HTTPStatus.CONFLICT,
    errors.DeployFailed: HTTPStatus.BAD_GATEWAY,
    errors.RouteError: HTTPStatus.CONFLICT,
    errors.InvalidRoute: HTTPStatus.BAD_REQUEST,
    errors.RouteConflict: HTTPStatus.CONFLICT,
    errors.NothingToRollBackTo: HTTPStatus.CONFLICT,
    errors.RolloutNotFound: HTTPStatus.NOT_FOUND,
    errors.RolloutBusy: HTTPStatus.CONFLICT,
    errors.LeaseLost: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ConfigurationError: HTTPStatus.INTERNAL_SERVER_ERROR,
    UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}


def answer_errors(app: FastAPI) -> None:
    """Make every failure of `app` answer in the one shape."""
    app.add_exception_handler(errors.UnderstudyError, _ours)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unknown)


async def error_answer(request: Request, error: Exception) -> Response:
    """Return the answer for an error; one that is not ours is logged and told only "internal"."""
    request_id = request_id_of(request)
    if not isinstance(error, errors.UnderstudyError):
        say_internal_error(error, request_id=request_id, path=request.url.path)
    error = told_of(error)
    info = error_info.describe(error)
    return _answer(request_id, status_of(error), info, headers_of(error))


def status_of(error: Exception) -> HTTPStatus:
    """Return the table's status; 500 for an error that is not ours."""
    known = (STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return next(known, HTTPStatus.INTERNAL_SERVER_ERROR)


def headers_of(error: Exception) -> dict[str, str]:
    """Return the headers that an error's answer carries beside its body."""
    if (retry_after_s := error_info.retry_after_s(error)) is not None:
        # RFC 9110 knows whole seconds only.
        return {"Retry-After": str(max(1, math.ceil(retry_after_s)))}
    if isinstance(error, errors.Unauthenticated):
        return {"WWW-Authenticate": "Bearer"}
    return {}


def _answer(
    request_id: str, status: int, info: error_info.ErrorInfo, headers: dict[str, str]
) -> Response:
    body = {
        "error": {
            "code": info.code,
            "message": info.message,
            "field": info.field,
            "requestId": request_id,
        }
    }
    return Response(
        orjson.dumps(body),
        status,
        headers={REQUEST_ID_HEADER: request_id, **headers},
        media_type="application/json",
    )


async def _ours(request: Request, error: Exception) -> Response:
    return await error_answer(request, error)


async def _unknown(request: Request, error: Exception) -> Response:
    return await error_answer(request, error)


async def _validation(request: Request, error: Exception) -> Response:
    """FastAPI's own checks of a body or query: its first complaint, with the place it names."""
    if not isinstance(error, RequestValidationError):
        return await error_answer(request, error)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"] if part not in {"body", "query", "path"})
    info = error_info.ErrorInfo("invalid_field", f"{field or 'body'}: {complaint(first)}", field)
    return _answer(request_id_of(request), HTTPStatus.BAD_REQUEST, info, {})


async def _http(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: an unknown path, a method it does not have."""
    if not isinstance(error, HTTPException):
        return await error_answer(request, error)
    code = HTTPStatus(error.status_code).name.lower()
    message = f"{request.method} {request.url.path}: {error.detail}; GET /openapi.json lists all"
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_methods(request)))
    info = error_info.ErrorInfo(code, message)
    return _answer(request_id_of(request), error.status_code, info, headers)


def _methods(request: Request) -> set[str]:
    """Return the methods of a path, each a route of its own; Starlette names the first one's."""
    routes = request.app.routes
    return {
        method
        for method in _METHODS
        if any(one.matches({**request.scope, "method": method})[0] is Match.FULL for one in routes)
    }
