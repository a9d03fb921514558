"""Where a request carries its key."""

from collections.abc import Awaitable, Callable, Iterable

from fastapi import Request

from serving.access.authenticator import Authenticator
from serving.store.values import ApiKey, Scope

_BEARER = "bearer "


def bearer(header: str | None) -> str | None:
    """Return the key in an `Authorization: Bearer KEY` header; None for any other scheme."""
    if header is None or header[: len(_BEARER)].lower() != _BEARER:
        return None
    return header[len(_BEARER) :].strip()


def http_key(request: Request) -> str | None:
    """Return the key of an HTTP request: `Authorization: Bearer KEY`, else `X-API-Key`."""
    headers = request.headers
    return bearer(headers.get("authorization")) or headers.get("x-api-key")


def metadata_key(metadata: Iterable[tuple[str, str | bytes]] | None) -> str | None:
    """Return the key of a gRPC call: metadata `authorization: Bearer KEY`, else `x-api-key`."""
    values = {name: value for name, value in metadata or () if isinstance(value, str)}
    return bearer(values.get("authorization")) or values.get("x-api-key")


def requires(authenticator: Authenticator, scope: Scope) -> Callable[[Request], Awaitable[ApiKey]]:
    """Return a FastAPI dependency that yields the caller's key or refuses the request."""

    async def caller(request: Request) -> ApiKey:
        return await authenticator.authenticate(http_key(request), scope)

    return caller
