"""The console as one ASGI application; what draws it is loaded when somebody first signs in."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.types import ASGIApp

from serving.console.door import Door
from serving.console.services import Services
from serving.console.sessions import Sessions


@asynccontextmanager
async def open_console(services: Services) -> AsyncIterator[ASGIApp]:
    """Open the console; mount what it yields.

    Args:
        services: What it acts through and reads.

    Yields:
        An ASGI application for HTTP and WebSockets.
    """
    async with AsyncExitStack() as stack:
        rooms = _Rooms(services, stack)
        yield Door(rooms.opened, services.authenticator, Sessions())


class _Rooms:
    """Opens the pages once, and keeps them open."""

    def __init__(self, services: Services, stack: AsyncExitStack) -> None:
        self._services = services
        self._stack = stack
        self._opening = asyncio.Lock()
        self._app: ASGIApp | None = None

    async def opened(self) -> ASGIApp:
        async with self._opening:
            if self._app is None:
                self._app = await self._open()
            return self._app

    async def _open(self) -> ASGIApp:
        # 0.4 s of processor time and 13 MB: not at a start that may never need them.
        module = await asyncio.to_thread(importlib.import_module, "serving.console.rooms")
        app: ASGIApp = await self._stack.enter_async_context(module.open_rooms(self._services))
        return app
