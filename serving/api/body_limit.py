"""A bound on requests' bodies: FastAPI reads a body whole before it asks for the key."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Middleware that refuses (413) a body as soon as more of it has come than may.

    Args:
        app: What answers.
        limit_bytes: Largest body.
    """

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit_bytes:
                raise HTTPException(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"the body has more than {self._limit_bytes} bytes",
                )
            return message

        await self._app(scope, bounded if scope["type"] == "http" else receive, send)
