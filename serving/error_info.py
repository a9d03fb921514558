"""What others are told of an error: a code, a message, and when to come again."""

from dataclasses import dataclass

from serving.errors import BackendUnavailable, Overloaded, StreamEnded, UnderstudyError

# Codes that are the camera's own doing, so no error of the arm's: a test holds them against
# `serving.errors.RequestError`. Who leaves has not been failed either.
CAMERAS_OWN = frozenset(
    {
        *("invalid_request", "unauthenticated", "permission_denied", "invalid_field"),
        *("missing_camera_id", "unknown_route", "unknown_camera", "unknown_arm", "unknown_key"),
        *("image_too_large", "bad_image", "cancelled"),
    }
)


@dataclass(frozen=True)
class ErrorInfo:
    """What a caller is told of an error.

    Attributes:
        code: Stable, lower_snake_case.
        message: What is wrong and what to do.
        field: The field at fault, or "".
    """

    code: str
    message: str
    field: str = ""


def describe(error: Exception) -> ErrorInfo:
    """Return what a caller may know: an error that is not ours is only "internal"."""
    if isinstance(error, UnderstudyError):
        return ErrorInfo(error.code, error.message, getattr(error, "field", ""))
    return ErrorInfo("internal", "internal error: the server's log has it under the request id")


def retry_after_s(error: BaseException) -> float | None:
    """Return when to try again, in seconds, where the error tells."""
    if isinstance(error, Overloaded | StreamEnded | BackendUnavailable):
        return error.retry_after_s
    return None


def code_of(error: BaseException | None) -> str:
    """Return the code of a frame's end: "ok", "cancelled" where the caller left, or an error's."""
    if error is None:
        return "ok"
    return describe(error).code if isinstance(error, Exception) else "cancelled"
