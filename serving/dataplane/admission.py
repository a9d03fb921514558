"""Who may be sent to a release now, who waits and who is turned away.

TorchServe cannot take work back, so work waits here, where it can still be dropped: only
`2 * workers * batch_size` requests of a release are outstanding at once (one batch being worked on,
one ready behind it, for each worker), over all gateways.
"""

import asyncio
import math
from collections import deque

from serving.dataplane.deadline import Deadline
from serving.errors import DeadlineExceeded, Overloaded

_SMOOTHING = 0.1


class Lane:
    """One release's places and the queue for them, first come first served.

    Args:
        name: For messages.
        places: Requests that may be outstanding at once.
        waiting_room: Requests that may wait for a place.
    """

    def __init__(self, name: str, *, places: int, waiting_room: int) -> None:
        self._name = name
        self._places = places
        self._waiting_room = waiting_room
        self._taken = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._service_s = 0.05

    @property
    def taken(self) -> int:
        """Places in use."""
        return self._taken

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    @property
    def places(self) -> int:
        """Requests that may be outstanding at once."""
        return self._places

    def resize(self, places: int) -> None:
        """Change the number of places; what is outstanding beyond it finishes."""
        self._places = places
        self._call_next()

    def try_enter(self, spare: float = 0.0) -> bool:
        """Take a place if one is free now and nobody waits; each that was taken needs its `leave`.

        Args:
            spare: Share of the places that must stay free afterwards, 0 to 1; an idle lane takes
                one all the same, else a lane of one place would be of no use to anybody.
        """
        allowed = max(1, math.floor(self._places * (1 - spare) + 1e-9))
        if self._queue or self._taken >= allowed:
            return False
        self._taken += 1
        return True

    async def enter(self, deadline: Deadline) -> None:
        """Take a place, waiting for one until the deadline; each `enter` needs its `leave`.

        Raises:
            Overloaded: The queue is full.
            DeadlineExceeded: No place came free in time; nothing was sent.
        """
        if deadline.remaining_s() <= 0:
            raise self._too_late()
        if self._taken < self._places and not self._queue:
            self._taken += 1
            return
        if self.waiting >= self._waiting_room:
            raise self._full()
        await self._wait(deadline)

    def leave(self, *, service_s: float | None = None) -> None:
        """Give the place back.

        Args:
            service_s: How long the worker took, where it answered: feeds the retry hint.
        """
        if service_s is not None:
            self._service_s += _SMOOTHING * (service_s - self._service_s)
        self._taken -= 1
        self._call_next()

    def retry_after_s(self) -> float:
        """Return when the present queue should have been served, in seconds."""
        return max(0.05, self._service_s * (self.waiting + self._taken) / self._places)

    async def _wait(self, deadline: Deadline) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(deadline.remaining_s()):
                await turn
        except BaseException as error:
            self._withdraw(turn)
            if isinstance(error, TimeoutError):
                raise self._too_late() from None
            raise

    def _withdraw(self, turn: "asyncio.Future[None]") -> None:
        """Leave the queue; a place that was granted in the same moment goes to the next."""
        if turn.done() and not turn.cancelled():
            self.leave()
            return
        turn.cancel()
        if turn in self._queue:
            self._queue.remove(turn)
        self._call_next()

    def _call_next(self) -> None:
        while self._queue and self._taken < self._places:
            turn = self._queue.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)

    def _full(self) -> Overloaded:
        wait = self.retry_after_s()
        return Overloaded(
            f"{self._name} is full: {self._taken} requests of {self._places} at work and "
            f"{self.waiting} of {self._waiting_room} waiting; try again in {wait:.2f} s",
            retry_after_s=wait,
        )

    def _too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"no place at {self._name} came free before the deadline, so nothing was sent: "
            f"{self._taken} of {self._places} at work, {self.waiting} waiting"
        )
