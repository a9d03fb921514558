"""The console's pages, as NiceGUI serves them. Importing this imports NiceGUI."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from nicegui import app as nicegui_app
from nicegui import ui
from starlette.types import ASGIApp

from serving.console.door import SESSION
from serving.console.files import files_router
from serving.console.fragments import fragment
from serving.console.operator import Operator
from serving.console.pages.audit import audit_page
from serving.console.pages.cameras import cameras_page
from serving.console.pages.compare import ComparePage
from serving.console.pages.frame import PLACES, framed
from serving.console.pages.live import live_page
from serving.console.pages.releases import releases_page
from serving.console.pages.rollouts import rollouts_page
from serving.console.pages.visit import Visit
from serving.console.pictures import Pictures
from serving.console.services import Services
from serving.console.side_by_side import Asking
from serving.console.troubles import told

Room = Callable[[Visit], None]
"""Draws a page for somebody, at once: what it shows is read once it is there."""

_FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    '<rect width="32" height="32" rx="7" fill="#3355cc"/>'
    '<circle cx="12" cy="16" r="6.5" fill="#fff" fill-opacity=".55"/>'
    '<circle cx="20" cy="16" r="6.5" fill="#fff"/></svg>'
)
# Whoever opens a laptop that slept for a moment finds the page as it was.
_RECONNECT_S = 10.0


@asynccontextmanager
async def open_rooms(services: Services) -> AsyncIterator[ASGIApp]:
    """Open the pages, once a process: NiceGUI keeps them in its modules.

    Args:
        services: What pages work with.

    Yields:
        What answers behind the door.
    """
    pictures = Pictures()
    rooms: dict[str, Room] = {
        "/": live_page,
        "/cameras": cameras_page,
        "/releases": releases_page,
        "/rollouts": rollouts_page,
        "/compare": ComparePage(Asking(services), pictures),
        "/audit": audit_page,
    }
    for place in PLACES:
        _open(place.path, place.title, rooms[place.path], services)
    # NiceGUI's own page would show the error's text.
    nicegui_app.on_page_exception(_broken)
    app = FastAPI(openapi_url=None)
    app.include_router(files_router(services, pictures))
    ui.run_with(
        app,
        title="Understudy",
        favicon=_FAVICON,
        dark=None,
        language="en-GB",
        tailwind=False,
        # Nothing is bound: what changes is set.
        binding_refresh_interval=None,
        reconnect_timeout=_RECONNECT_S,
        show_welcome_message=False,
        mount_path="/",
    )
    async with app.router.lifespan_context(app):
        yield app


def _open(path: str, title: str, room: Room, services: Services) -> None:
    def page(request: Request) -> None:
        operator = Operator(services, request.scope[SESSION])
        with framed(operator, path, request.scope["root_path"]) as visit:
            room(visit)

    ui.page(path, title=f"{title} · Understudy")(page)


def _broken(error: Exception) -> None:
    ui.html(fragment("error", message=told(error)), sanitize=False)
