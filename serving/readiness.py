"""Whether frames can be answered now."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from serving.dataplane.watcher import RouteWatcher

_LOOK_S = 0.1


@dataclass(frozen=True)
class Readiness:
    """What a frame needs.

    Attributes:
        routes: A route, applied.
        backend_up: Set while TorchServe answers.
        filled: Set while it runs what it should.
        stopping: Set once the server drains.
    """

    routes: RouteWatcher
    backend_up: asyncio.Event
    filled: asyncio.Event
    stopping: asyncio.Event

    def missing(self) -> str | None:
        """Return why frames cannot be answered; None when they can."""
        if self.stopping.is_set():
            return "the server is stopping"
        if not self.backend_up.is_set():
            return "TorchServe is not answering; it is being started again"
        if not self.filled.is_set():
            return "TorchServe was started anew; its releases are being loaded"
        if not self.routes.table.routes:
            return (
                "no route yet: deploy a release (`understudy deploy`) and set a route "
                "(`understudy route set`)"
            )
        return None

    async def report(self, tell: Callable[[bool], Awaitable[None]]) -> None:
        """Tell each change, until cancelled."""
        told: bool | None = None
        while True:
            ready = self.missing() is None
            if ready is not told:
                await tell(ready)
                told = ready
            await asyncio.sleep(_LOOK_S)
