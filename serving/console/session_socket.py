"""A session's WebSocket: it ends with the session, whatever the browser would like."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.console.sessions import Session

# RFC 6455, 7.4.1: the message violates the endpoint's policy.
REFUSED = 1008


async def cut_when_over(
    app: ASGIApp, session: Session, scope: Scope, receive: Receive, send: Send
) -> None:
    """Hand a WebSocket on until it or its session ends.

    Args:
        app: Answers it.
        session: Whose it is.
        scope: ASGI.
        receive: ASGI.
        send: ASGI.
    """
    over = asyncio.create_task(session.until_over(), name="until a console's session is over")
    is_open = True

    async def receiving() -> Message:
        nonlocal is_open
        getting = asyncio.ensure_future(receive())
        try:
            await asyncio.wait({getting, over}, return_when=asyncio.FIRST_COMPLETED)
            if not over.done():
                message = await getting
                is_open = message["type"] != "websocket.disconnect"
                return message
        finally:
            getting.cancel()
        return {"type": "websocket.disconnect", "code": REFUSED}

    async def sending(message: Message) -> None:
        nonlocal is_open
        if not over.done():
            is_open = message["type"] != "websocket.close"
            await send(message)

    try:
        await app(scope, receiving, sending)
        if over.done() and is_open:
            await send({"type": "websocket.close", "code": REFUSED})
    finally:
        over.cancel()
