"""Errors as gRPC answers: one table of codes, and details in the trailing metadata.

Trailing metadata: `x-request-id`; `understudy-error-bin`, an understudy.v1.Error; and for overload
and the end of a stream `grpc-retry-pushback-ms`, which gRPC clients with a retry policy obey by
themselves.
"""

from typing import NoReturn

import grpc

from proto.wire.v1 import detection_pb2 as wire
from serving import error_info, errors
from serving.api.internal_errors import say_internal_error, told_of

REQUEST_ID_KEY = "x-request-id"
ERROR_KEY = "understudy-error-bin"
RETRY_KEY = "grpc-retry-pushback-ms"

Context = grpc.aio.ServicerContext[wire.DetectRequest, wire.DetectResponse]

_Code = grpc.StatusCode
STATUS: dict[type, grpc.StatusCode] = {
    errors.UnderstudyError: _Code.INTERNAL,
    errors.RequestError: _Code.INVALID_ARGUMENT,
    errors.Unauthenticated: _Code.UNAUTHENTICATED,
    errors.PermissionDenied: _Code.PERMISSION_DENIED,
    errors.InvalidField: _Code.INVALID_ARGUMENT,
    errors.MissingCameraId: _Code.INVALID_ARGUMENT,
    errors.UnknownRoute: _Code.NOT_FOUND,
    errors.UnknownArm: _Code.NOT_FOUND,
    errors.UnknownKey: _Code.NOT_FOUND,
    errors.UnknownCamera: _Code.NOT_FOUND,
    errors.ImageTooLarge: _Code.INVALID_ARGUMENT,
    errors.BadImage: _Code.INVALID_ARGUMENT,
    errors.Overloaded: _Code.RESOURCE_EXHAUSTED,
    errors.RateLimited: _Code.RESOURCE_EXHAUSTED,
    errors.DeadlineExceeded: _Code.DEADLINE_EXCEEDED,
    errors.StreamError: _Code.ABORTED,
    errors.StreamEnded: _Code.UNAVAILABLE,
    errors.CameraTakenOver: _Code.ABORTED,
    errors.UpstreamError: _Code.INTERNAL,
    errors.WorkerFailed: _Code.INTERNAL,
    errors.WorkerDied: _Code.UNAVAILABLE,
    errors.StaleRoute: _Code.UNAVAILABLE,
    errors.BackendUnavailable: _Code.UNAVAILABLE,
    errors.ReleaseError: _Code.FAILED_PRECONDITION,
    errors.ArchiveRejected: _Code.INVALID_ARGUMENT,
    errors.ReleaseConflict: _Code.ALREADY_EXISTS,
    errors.ReleaseNotFound: _Code.NOT_FOUND,
    errors.ReleaseBusy: _Code.FAILED_PRECONDITION,
    errors.DeployFailed: _Code.INTERNAL,
    errors.RouteError: _Code.FAILED_PRECONDITION,
    errors.InvalidRoute: _Code.INVALID_ARGUMENT,
    errors.RouteConflict: _Code.ABORTED,
    errors.NothingToRollBackTo: _Code.FAILED_PRECONDITION,
    errors.RolloutNotFound: _Code.NOT_FOUND,
    errors.RolloutBusy: _Code.FAILED_PRECONDITION,
    errors.LeaseLost: _Code.UNAVAILABLE,
    errors.ConfigurationError: _Code.INTERNAL,
}


def status_of(error: Exception) -> grpc.StatusCode:
    """Return the table's code; INTERNAL for an error that is not ours."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), _Code.INTERNAL)


def wire_error(error: Exception, request_id: str) -> wire.Error:
    """Return the error as a message; one that is not ours is logged and told only "internal"."""
    if not isinstance(error, errors.UnderstudyError):
        say_internal_error(error, request_id=request_id)
    info = error_info.describe(told_of(error))
    return wire.Error(code=info.code, message=info.message, field=info.field)


async def abort(context: Context, error: Exception, request_id: str) -> NoReturn:
    """End the call with the error."""
    code, message, trailing = _end(error, request_id)
    await context.abort(code, message, trailing)


def refuse(context: Context, error: Exception, request_id: str) -> None:
    """End a call that has one answer with the error, whatever it returns.

    `abort` raises, and gRPC keeps what it raised with the call: a ring, which holds the image until
    Python's collector finds it.
    """
    code, message, trailing = _end(error, request_id)
    context.set_code(code)
    context.set_details(message)
    context.set_trailing_metadata(trailing)


def _end(
    error: Exception, request_id: str
) -> tuple[grpc.StatusCode, str, tuple[tuple[str, str | bytes], ...]]:
    details = wire_error(error, request_id)
    error = told_of(error)
    trailing: list[tuple[str, str | bytes]] = [
        (REQUEST_ID_KEY, request_id),
        (ERROR_KEY, details.SerializeToString()),
    ]
    if (retry_after_s := error_info.retry_after_s(error)) is not None:
        trailing.append((RETRY_KEY, str(max(1, round(retry_after_s * 1000)))))
    return status_of(error), details.message, tuple(trailing)
