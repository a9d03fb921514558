"""One way to deploy under trial: what it answers at most, and how long frames take at a rate."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from serving.controlplane.wanted import Wanted
from serving.errors import ConfigurationError, UnderstudyError
from serving.tuning.findings import Findings, Point, Tried, brief, told
from serving.tuning.outlook import Outlook
from serving.tuning.stand import Running, Stand

_SATURATED_S = 3.0
_SHARES = (0.5, 0.7, 0.85, 0.95)
_LOWER_SHARES = (0.25, 0.1)
_FRAMES_A_POINT, _LEAST_POINT_S, _MOST_POINT_S = 150, 4.0, 10.0
_FRAMES_CONFIRMED, _LEAST_CONFIRMED_S, _MOST_CONFIRMED_S = 400, 10.0, 15.0
# Beyond the target by this much, more load shows nothing.
_FAR_BEYOND = 1.5
# Of the budget: the rest is for confirming.
CLIMBS_BY = 0.8
# Neighbours on one way's climb that are this close are close enough.
_FINE = 1.06
_STEP_DOWN, _STEPS_DOWN = 0.1, 3


class Hearer(Protocol):
    """Told what is being done."""

    def doing(self, what: str, left_s: float) -> None:
        """Something begins, and about so many seconds are left of everything."""

    def found(self, text: str) -> None:
        """Something is worth a line."""


class Trying:
    """Tries ways and keeps what is found.

    Args:
        stand: Where.
        findings: Gets everything.
        outlook: Tells when the time is over, and is told what was done.
        hearer: Told of progress.
        p99_ms: The target.
    """

    def __init__(
        self, stand: Stand, findings: Findings, outlook: Outlook, hearer: Hearer, p99_ms: float
    ) -> None:
        self._stand = stand
        self._findings = findings
        self._outlook = outlook
        self._hearer = hearer
        self._p99_ms = p99_ms

    async def probe(self, way: Wanted, stage: str) -> None:
        """Find out how much a way answers at most.

        Args:
            way: Nothing is done where it was tried before.
            stage: Of the search, for its outlook.

        Raises:
            ConfigurationError: One of the user's frames is no image.
        """
        if self._findings.of(way) is not None:
            return
        tried = Tried(way)
        self._findings.tried.append(tried)
        self._hearer.doing(brief(way), self._outlook.left_s)

        async def look(running: Running) -> None:
            tried.frames_per_s = (await running.saturated(_SATURATED_S)).frames_per_s

        await self._on(tried, look)
        self._outlook.did(stage)

    async def climb(self, tried: Tried) -> None:
        """Offer a way growing loads until it is beyond the target, then look between the two.

        Raises:
            ConfigurationError: See `probe`.
        """

        async def climb(running: Running) -> None:
            for share in _SHARES:
                point = await self._offer(running, tried, share * tried.frames_per_s)
                if point is None or point.measured.p99_ms > _FAR_BEYOND * self._p99_ms:
                    break
            for share in _LOWER_SHARES:
                if not self._rates(tried)[0]:
                    await self._offer(running, tried, share * tried.frames_per_s)
            held, beyond = self._rates(tried)
            if held and beyond and min(beyond) > _FINE * max(held):
                await self._offer(running, tried, (max(held) + min(beyond)) / 2)

        await self._on(tried, climb)
        self._outlook.did("climbs")

    async def confirm(self, best: Point) -> None:
        """Measure a point for longer, and where it does not hold, its way at lower rates.

        The best of many short looks has also been lucky.

        Raises:
            ConfigurationError: See `probe`.
        """
        tried = self._findings.of(best.wanted)
        if tried is None:
            raise ValueError(f"{told(best.wanted)} was never tried")

        async def look(running: Running) -> None:
            for step in range(_STEPS_DOWN + 1):
                rate = best.rate * (1 - step * _STEP_DOWN)
                point = await self._offer(running, tried, rate, is_long=True)
                if point is None or point.holds(self._p99_ms):
                    break

        await self._on(tried, look)
        self._outlook.did("confirm")

    async def _on(self, tried: Tried, work: Callable[[Running], Awaitable[None]]) -> None:
        """Do something with a way that runs; one that fails is out of the question."""
        try:
            async with self._stand.running(tried.wanted) as running:
                await work(running)
        except ConfigurationError:
            raise
        except UnderstudyError as error:
            self._findings.reject(tried, error.message)
            self._hearer.found(f"{told(tried.wanted)}: {error.message}")

    async def _offer(
        self, running: Running, tried: Tried, rate: float, *, is_long: bool = False
    ) -> Point | None:
        """Measure a load; None: there is no time left for it."""
        if self._outlook.is_past(1.0 if is_long else CLIMBS_BY) and self._findings.points:
            return None
        frames, least_s, most_s = (
            (_FRAMES_CONFIRMED, _LEAST_CONFIRMED_S, _MOST_CONFIRMED_S)
            if is_long
            else (_FRAMES_A_POINT, _LEAST_POINT_S, _MOST_POINT_S)
        )
        what = f"{brief(tried.wanted)}, {rate:.3g}/s"
        self._hearer.doing(what, self._outlook.left_s)
        measured = await running.offered(rate, min(most_s, max(least_s, frames / rate)))
        point = Point(tried.wanted, rate, measured, confirmed=is_long)
        self._findings.add(point)
        return point

    def _rates(self, tried: Tried) -> tuple[list[float], list[float]]:
        return self._findings.rates(tried.wanted, self._p99_ms)
