"""What can go wrong in serving.

Errors carry data and know no status code: each adapter has one table. What others are told of them
is in `serving.error_info`.

UnderstudyError
├── RequestError                the caller can mend it
│   ├── Unauthenticated         no key, or one that is unknown, expired or revoked
│   ├── PermissionDenied        the key's scope does not reach this far
│   ├── InvalidField            a field of the request, its value and its limit
│   │   ├── MissingCameraId     the route is sticky by camera and the request names none
│   │   ├── UnknownRoute
│   │   ├── UnknownArm
│   │   ├── UnknownKey
│   │   └── UnknownCamera
│   ├── ImageTooLarge           more bytes or pixels than the limit
│   └── BadImage                the bytes do not decode
├── Overloaded                  every place is taken; try again after `retry_after_s`
│   └── RateLimited             the key or the camera has had its share of this moment
├── DeadlineExceeded            the answer would come too late
├── StreamError                 a camera's connection ends; the camera did nothing wrong
│   ├── StreamEnded             connect again after `retry_after_s`
│   └── CameraTakenOver         another stream of the same camera has taken over
├── UpstreamError               a worker or its server is at fault
│   ├── WorkerFailed            the worker raised or answered nonsense
│   ├── WorkerDied              the worker's process ended under the frame; another may answer it
│   ├── StaleRoute              the backend does not know the version: the route has moved on
│   └── BackendUnavailable      TorchServe cannot be reached
├── ReleaseError
│   ├── ArchiveRejected         unsigned, altered, without a card, not ours
│   ├── ReleaseConflict         another archive has this name and version
│   ├── ReleaseNotFound
│   ├── ReleaseBusy             the release is live, standby or on its way
│   └── DeployFailed            loading or warming went wrong; what served before still serves
├── RouteError
│   ├── InvalidRoute            weights, arms or names do not fit
│   ├── RouteConflict           someone else changed the route meanwhile
│   ├── NothingToRollBackTo
│   ├── RolloutNotFound
│   └── RolloutBusy             one is under way, has ended, or its arm cannot be raised
├── LeaseLost                   another controller leads, or none for now
└── ConfigurationError          a setting, a port or a missing program
"""


class UnderstudyError(Exception):
    """Every error of this package; `code` is stable and part of the wire contract."""

    code = "internal"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RequestError(UnderstudyError):
    """The caller's request is wrong and can be mended."""

    code = "invalid_request"


class Unauthenticated(RequestError):
    """No key, or one that is unknown, expired or revoked."""

    code = "unauthenticated"


class PermissionDenied(RequestError):
    """The key is good but its scope does not reach this far."""

    code = "permission_denied"


class InvalidField(RequestError):
    """A field of the request breaks its limit."""

    code = "invalid_field"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class MissingCameraId(InvalidField):
    """The route splits by camera and the request names none."""

    code = "missing_camera_id"


class UnknownRoute(InvalidField):
    """No route has this name."""

    code = "unknown_route"


class UnknownArm(InvalidField):
    """The route has no such arm."""

    code = "unknown_arm"


class UnknownKey(InvalidField):
    """No API key has this id."""

    code = "unknown_key"


class UnknownCamera(InvalidField):
    """No camera of this id is known."""

    code = "unknown_camera"


class ImageTooLarge(InvalidField):
    """The image has more bytes or pixels than the limit."""

    code = "image_too_large"


class BadImage(InvalidField):
    """The bytes do not decode as a JPEG, PNG or WebP image."""

    code = "bad_image"


class Overloaded(UnderstudyError):
    """Every place is taken.

    Attributes:
        retry_after_s: When to try again, in seconds.
    """

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimited(Overloaded):
    """The key or the camera sends more frames than it may have answered."""

    code = "rate_limited"


class DeadlineExceeded(UnderstudyError):
    """The answer would come after the deadline."""

    code = "deadline_exceeded"


class StreamError(UnderstudyError):
    """A camera's connection ends, and not by the camera's fault."""

    code = "stream_error"


class StreamEnded(StreamError):
    """The server has ended a connection: connect again, to any gateway.

    Attributes:
        retry_after_s: When to connect, in seconds; spread, so that not all cameras come at once.
    """

    code = "stream_ended"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class CameraTakenOver(StreamError):
    """Another stream of the same camera has taken over."""

    code = "camera_taken_over"


class UpstreamError(UnderstudyError):
    """A worker or its server is at fault."""

    code = "upstream_failed"


class WorkerFailed(UpstreamError):
    """The worker raised or answered what it must not."""

    code = "worker_failed"


class WorkerDied(UpstreamError):
    """The worker's process ended under the frame: no fault of the frame's, so it may go again."""

    code = "worker_died"


class StaleRoute(UpstreamError):
    """The backend does not know the version: the route has moved on, fetch it and retry."""

    code = "stale_route"


class BackendUnavailable(UpstreamError):
    """TorchServe cannot be reached, or nothing answers there now.

    Attributes:
        retry_after_s: When to try again, in seconds; None: no telling.
        refused: Whether nothing was sent: nobody listens, or no token is to be had.
    """

    code = "backend_unavailable"

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, refused: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.refused = refused


class ReleaseError(UnderstudyError):
    """A release cannot be taken, found or moved."""

    code = "release_error"


class ArchiveRejected(ReleaseError):
    """The archive is unsigned, altered, without a card, or not one of ours."""

    code = "archive_rejected"


class ReleaseConflict(ReleaseError):
    """Another archive already has this name and version: archives are immutable."""

    code = "release_conflict"


class ReleaseNotFound(ReleaseError):
    """No release has this name and version."""

    code = "release_not_found"


class ReleaseBusy(ReleaseError):
    """The release is live, standby or between two states."""

    code = "release_busy"


class DeployFailed(ReleaseError):
    """Loading or warming failed; what served before still serves."""

    code = "deploy_failed"


class RouteError(UnderstudyError):
    """A route cannot be changed as asked."""

    code = "route_error"


class InvalidRoute(RouteError):
    """The wanted route breaks a rule.

    Attributes:
        field: Which part of it, as a dotted path.
    """

    code = "invalid_route"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class RouteConflict(RouteError):
    """The route is no longer at the revision that the change was made for."""

    code = "route_conflict"


class NothingToRollBackTo(RouteError):
    """The route has no earlier revision whose releases can answer."""

    code = "nothing_to_roll_back_to"


class RolloutNotFound(RouteError):
    """No rollout has this id."""

    code = "rollout_not_found"


class RolloutBusy(RouteError):
    """The route has a rollout under way, this one has ended, or its arm cannot be raised so."""

    code = "rollout_busy"


class LeaseLost(UnderstudyError):
    """This controller leads no longer; nothing was changed."""

    code = "lease_lost"


class ConfigurationError(UnderstudyError):
    """A setting, a port or a missing program keeps the server from starting."""

    code = "configuration_error"
