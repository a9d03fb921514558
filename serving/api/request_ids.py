"""The id that ties an answer, a log line and a complaint together."""

import re
import uuid

from starlette.requests import HTTPConnection

REQUEST_ID_HEADER = "X-Request-Id"
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id(offered: str | None) -> str:
    """Return the caller's own id where it is 1 to 64 of A-Z a-z 0-9 . _ -, a new one otherwise."""
    if offered is not None and _ACCEPTED.fullmatch(offered):
        return offered
    return uuid.uuid4().hex


def request_id_of(connection: HTTPConnection) -> str:
    """Return the id of an HTTP request, the same each time it is asked for."""
    state = connection.scope.setdefault("state", {})
    if "request_id" not in state:
        state["request_id"] = request_id(connection.headers.get(REQUEST_ID_HEADER))
    found: str = state["request_id"]
    return found
