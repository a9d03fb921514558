"""The console's pages, as NiceGUI serves them. Importing this imports NiceGUI."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from nicegui import ui
from starlette.types import ASGIApp

from serving.console.door import SESSION
from serving.console.operator import Operator
from serving.console.pages.frame import framed
from serving.console.pages.live import live_page
from serving.console.services import Services

Room = Callable[[Operator], Awaitable[None]]

_ROOMS: dict[str, tuple[str, Room]] = {
    "/": ("Live", live_page),
}
_FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    '<rect width="32" height="32" rx="7" fill="#3355cc"/>'
    '<circle cx="12" cy="16" r="6.5" fill="#fff" fill-opacity=".55"/>'
    '<circle cx="20" cy="16" r="6.5" fill="#fff"/></svg>'
)
# Whoever looks at a laptop that slept finds the page as it was.
_RECONNECT_S = 10.0


@asynccontextmanager
async def open_rooms(services: Services) -> AsyncIterator[ASGIApp]:
    """Open the pages, once a process: NiceGUI keeps them in its modules.

    Args:
        services: What pages work with.

    Yields:
        What answers behind the door.
    """
    for path, (title, room) in _ROOMS.items():
        _open(path, title, room, services)
    app = FastAPI(openapi_url=None)
    ui.run_with(
        app,
        title="Understudy",
        favicon=_FAVICON,
        dark=None,
        language="en-GB",
        tailwind=False,
        binding_refresh_interval=None,
        reconnect_timeout=_RECONNECT_S,
        show_welcome_message=False,
        # The browser keeps what it has read; the pages' own bytes are few.
        mount_path="/",
    )
    async with app.router.lifespan_context(app):
        yield app


def _open(path: str, title: str, room: Room, services: Services) -> None:
    async def page(request: Request) -> None:
        operator = Operator(services, request.scope[SESSION])
        with framed(operator, path, request.scope["root_path"]):
            await room(operator)

    ui.page(path, title=f"{title} · Understudy")(page)
