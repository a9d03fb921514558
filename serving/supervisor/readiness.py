"""Whether frames can be answered now."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

_LOOK_S = 0.1


@dataclass(frozen=True)
class Readiness:
    """What a frame needs.

    Attributes:
        plane: Returns what the data plane lacks, or None.
        stopping: Set once the process drains.
    """

    plane: Callable[[], str | None]
    stopping: asyncio.Event

    def missing(self) -> str | None:
        """Return why frames cannot be answered; None when they can."""
        if self.stopping.is_set():
            return "the server is stopping"
        return self.plane()

    async def report(self, tell: Callable[[bool], Awaitable[None]]) -> None:
        """Tell each change, until cancelled."""
        told: bool | None = None
        while True:
            ready = self.missing() is None
            if ready is not told:
                await tell(ready)
                told = ready
            await asyncio.sleep(_LOOK_S)
