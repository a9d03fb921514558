"""A worker that is about to stop says so to the controller before its frames are cut off."""

import asyncio
from contextlib import suppress

from fastapi import Response

from serving.errors import BackendUnavailable

# A controller looks every two seconds.
_ASKED_WITHIN_S = 10.0
# Gateways hear of it within a second, and a worker answers a frame within far less.
_LAST_FRAMES_S = 5.0


class Leaving:
    """Has the gateways sent elsewhere: the controller is told once that nothing runs here.

    It then withdraws what it had told the gateways of this worker, and they send no more frames.
    TorchServe runs on meanwhile and answers those that it has.
    """

    def __init__(self) -> None:
        self._leaving = False
        self._told = asyncio.Event()

    def refuse(self) -> None:
        """Refuse what would begin here.

        Raises:
            BackendUnavailable: The worker is about to stop.
        """
        if self._leaving:
            raise BackendUnavailable("the worker is stopping")

    def answer(self, method: str, path: str) -> Response | None:
        """Return what to answer in TorchServe's place; None: what TorchServe answers.

        Raises:
            BackendUnavailable: The worker is about to stop, and the controller knows.
        """
        if self._leaving and not self._told.is_set() and (method, path) == ("GET", "/models"):
            self._told.set()
            return Response('{"models": []}', media_type="application/json")
        self.refuse()
        return None

    async def leave(self, within_s: float) -> None:
        """Wait until the gateways send elsewhere and the last frames are answered.

        Args:
            within_s: At the longest.
        """
        self._leaving = True
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                if await self._asked():
                    await asyncio.sleep(_LAST_FRAMES_S)

    async def _asked(self) -> bool:
        """Wait for the controller's next look; one that is down itself does not come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_ASKED_WITHIN_S):
                await self._told.wait()
        return self._told.is_set()
