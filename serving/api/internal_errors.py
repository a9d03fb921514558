"""Errors that are not ours: told to callers as "internal", to the operator with their traceback."""

from typing import Any

import structlog
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from serving.errors import BackendUnavailable
from serving.logs.quota import LineQuota

_log = structlog.get_logger(__name__)
# One a process, for HTTP and gRPC: a bug on the frames' way has one for every frame.
_QUOTA = LineQuota("internal error")
# Gone, locked, full or read-only; what else a database raises is a bug of ours.
_STORE_AWAY = (OperationalError, InternalError, InterfaceError, PoolTimeout)
_RETRY_AFTER_S = 2.0


def say_internal_error(error: Exception, *, quota: LineQuota = _QUOTA, **where: Any) -> None:
    """Have the log tell of an error, if it has not told of too many in this second.

    Args:
        error: Not one of `serving.errors`.
        quota: How many are too many.
        where: What the line says besides.
    """
    if quota.allows():
        _log.error("internal error", exc_info=error, **where)


def told_of(error: Exception) -> Exception:
    """Return the error that a caller is told: a store that is away comes back, unlike a bug."""
    if not isinstance(error, _STORE_AWAY):
        return error
    return BackendUnavailable(
        "the store does not answer, or takes nothing now; try again in a moment",
        retry_after_s=_RETRY_AFTER_S,
        refused=True,
    )
