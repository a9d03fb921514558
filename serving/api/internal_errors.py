"""Errors that are not ours: told to callers as "internal", to the operator with their traceback."""

from typing import Any

import structlog

from serving.logs.quota import LineQuota

_log = structlog.get_logger(__name__)
# One a process, for HTTP and gRPC: a bug on the frames' way has one for every frame.
_QUOTA = LineQuota("internal error")


def say_internal_error(error: Exception, *, quota: LineQuota = _QUOTA, **where: Any) -> None:
    """Have the log tell of an error, if it has not told of too many in this second.

    Args:
        error: Not one of `serving.errors`.
        quota: How many are too many.
        where: What the line says besides.
    """
    if quota.allows():
        _log.error("internal error", exc_info=error, **where)
