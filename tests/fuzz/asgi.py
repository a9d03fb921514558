"""An application asked without a server before it, with whatever bytes."""

import asyncio
from collections.abc import Coroutine
from typing import Any

_ANSWERED_WITHIN_S = 10

_loop = asyncio.new_event_loop()
# Channels of gRPC take the loop they find.
asyncio.set_event_loop(_loop)


def wait_for(work: Coroutine[Any, Any, Any]) -> Any:
    """Return what comes of `work`, in this process's one loop."""
    return _loop.run_until_complete(asyncio.wait_for(work, _ANSWERED_WITHIN_S))


def post(
    app: Any, path: str, body: bytes, headers: dict[str, bytes], query_string: bytes = b""
) -> tuple[int, bytes]:
    """Send a request, its body in two pieces; return the status and the answer's body."""
    half = len(body) // 2
    coming = [
        {"type": "http.request", "body": body[:half], "more_body": True},
        {"type": "http.request", "body": body[half:], "more_body": False},
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if coming:
            return coming.pop(0)
        # The client waits for its answer.
        return await asyncio.get_running_loop().create_future()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query_string,
        "headers": [(name.lower().encode(), value) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    wait_for(app(scope, receive, send))
    status = sent[0]["status"]
    return status, b"".join(message.get("body", b"") for message in sent[1:])
