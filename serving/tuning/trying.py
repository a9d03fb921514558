"""One way to deploy under trial: what it answers at most, and how long frames take at a rate."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from serving.controlplane.wanted import Wanted
from serving.errors import BackendUnavailable, ConfigurationError, UnderstudyError
from serving.tuning.findings import Findings, Point, Tried, brief, told
from serving.tuning.load import Measured, pooled
from serving.tuning.outlook import Outlook
from serving.tuning.stand import Running, Stand

_SATURATED_S = 3.0
_SHARES = (0.5, 0.7, 0.85, 0.95)
_LOWER_SHARES = (0.25, 0.1)
_FRAMES_A_POINT, _LEAST_POINT_S, _MOST_POINT_S = 150, 4.0, 10.0
# A long look is several draws, none of which chose the point; all must hold.
_DRAWS = (1, 2, 3)
_FRAMES_A_DRAW, _LEAST_DRAW_S, _MOST_DRAW_S = 600, 15.0, 30.0
_SHORTEST_DRAW_S = 10.0
# Below so many frames a p99 is hardly more than the slowest one.
_FEWEST_CONFIRMED = 300
# Beyond the target by this much, more load shows nothing.
_FAR_BEYOND = 1.5
# Of the budget: the rest is for confirming.
CLIMBS_BY = 0.65
# Between what held and what did not it looks until they are this close.
_FINE = 1.06
# From a load that did not hold to the next lower one; of the budget, when steps must be long.
_LONGEST_STEP, _SHORTEST_STEP, _STEPS_DOWN = 0.75, 0.95, 6
_HURRY_AT = 0.8


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
        """Offer a way growing loads until it is beyond the target, then look ever closer between.

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
            while (rate := self._between(tried)) and await self._offer(running, tried, rate):
                pass

        await self._on(tried, climb)
        self._outlook.did("climbs")

    async def confirm(self, best: Point) -> None:
        """Measure a point for longer, and where it does not hold, its way at lower rates.

        The best of many short looks has also been lucky: with the same arrivals it would be again.

        Raises:
            ConfigurationError: See `probe`.
        """
        tried = self._findings.of(best.wanted)
        if tried is None:
            raise ValueError(f"{told(best.wanted)} was never tried")

        async def look(running: Running) -> None:
            rate = best.rate
            for _ in range(_STEPS_DOWN + 1):
                if rate <= self._findings.confirmed_rate(tried.wanted, self._p99_ms):
                    break
                p99_ms = await self._longer(running, tried, rate)
                if p99_ms <= self._p99_ms or self._outlook.is_over:
                    break
                step = (self._p99_ms / p99_ms) ** 0.5
                hurries = self._outlook.is_past(_HURRY_AT)
                rate *= _LONGEST_STEP if hurries else min(_SHORTEST_STEP, max(_LONGEST_STEP, step))

        await self._on(tried, look)
        self._outlook.did("confirm")

    async def _on(self, tried: Tried, work: Callable[[Running], Awaitable[None]]) -> None:
        """Do something with a way that runs; one that fails is out of the question."""
        try:
            try:
                await self._run(tried, work)
            except BackendUnavailable as error:  # TorchServe has gone: whose fault was it?
                self._hearer.found(f"{told(tried.wanted)}: {error.message}; once more")
                await self._run(tried, work)
        except ConfigurationError:
            raise
        except UnderstudyError as error:
            self._findings.reject(tried, error.message)
            self._hearer.found(f"{told(tried.wanted)}: {error.message}")

    async def _run(self, tried: Tried, work: Callable[[Running], Awaitable[None]]) -> None:
        async with self._stand.running(tried.wanted) as running:
            await work(running)

    async def _offer(self, running: Running, tried: Tried, rate: float) -> Point | None:
        """Measure a load; None: there is no time left for it."""
        if self._outlook.is_past(CLIMBS_BY) and self._findings.points:
            return None
        self._tell(tried, rate)
        seconds = min(_MOST_POINT_S, max(_LEAST_POINT_S, _FRAMES_A_POINT / rate))
        point = Point(tried.wanted, rate, await running.offered(rate, seconds))
        self._findings.add(point)
        return point

    async def _longer(self, running: Running, tried: Tried, rate: float) -> float:
        """Measure several draws of a rate and return the p99: the first that is beyond the target.

        They confirm it where time lets them all hold and enough frames came.
        """
        wanted_s = min(_MOST_DRAW_S, max(_LEAST_DRAW_S, _FRAMES_A_DRAW / rate))
        seconds = max(_SHORTEST_DRAW_S, min(wanted_s, self._outlook.budget_left_s / len(_DRAWS)))
        draws: list[Measured] = []
        for draw in _DRAWS:
            self._tell(tried, rate)
            one = await running.offered(rate, seconds, draw)
            if one.p99_ms > self._p99_ms:
                self._findings.add(Point(tried.wanted, rate, one, confirmed=True))
                return one.p99_ms
            draws.append(one)
            if self._outlook.is_over:
                break
        together = pooled(draws)
        is_enough = len(draws) == len(_DRAWS) and together.answered >= _FEWEST_CONFIRMED
        self._findings.add(Point(tried.wanted, rate, together, confirmed=is_enough))
        return together.p99_ms

    def _tell(self, tried: Tried, rate: float) -> None:
        self._hearer.doing(f"{brief(tried.wanted)}, {rate:.3g}/s", self._outlook.left_s)

    def _between(self, tried: Tried) -> float:
        """Return the rate between what a way held and what it did not; 0: that would tell nothing.

        They are close already, or another way holds more than this one did not.
        """
        held, beyond = self._rates(tried)
        if not held or not beyond or min(beyond) <= _FINE * max(held):
            return 0.0
        highest = self._findings.highest(self._p99_ms)
        if highest is not None and min(beyond) <= highest.rate:
            return 0.0
        return (max(held) + min(beyond)) / 2

    def _rates(self, tried: Tried) -> tuple[list[float], list[float]]:
        return self._findings.rates(tried.wanted, self._p99_ms)
