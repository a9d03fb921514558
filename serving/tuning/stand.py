"""Where ways to deploy are tried, as the search sees it."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from serving.controlplane.wanted import Wanted
from serving.tuning.load import Measured


class Running(Protocol):
    """A release that runs one way and has answered its golden frames rightly."""

    async def saturated(self, seconds: float) -> Measured:
        """Return what it answers when every place is taken all the time.

        Raises:
            UnderstudyError: It failed, or answers wrongly under load.
        """
        ...

    async def offered(self, rate: float, seconds: float, draw: int = 0) -> Measured:
        """Return what it answers of so many frames a second at a draw's random moments.

        Raises:
            UnderstudyError: It failed, or answers wrongly under load.
        """
        ...


class Stand(Protocol):
    """Runs one way at a time."""

    def running(self, wanted: Wanted) -> AbstractAsyncContextManager[Running]:
        """Run a way for as long as the block runs.

        Raises:
            UnderstudyError: It does not run here, or does not answer its golden frames rightly.
        """
        ...
