"""The search: what each variant answers at most, then which layout and batch, then at which rate.

Three rounds are cheap and coarse, all places taken all the time: variants, each on one worker of
all cores; layouts, of the variants that promise about as much as the best; batches, of the layouts
that do. What a way promises within the target follows from what it answers at most and from how
long it takes alone. Most ways are out by then, some by arithmetic alone (a full batch that takes
longer than the target; a wait that costs more than the batch it fills saves). The few that are left
climb, and after them one of each other layout, while there is time: they are offered growing shares
of what they answer at most, until their p99 is beyond the target. The highest point is measured
once more, for longer and on other arrivals, and gives way where it does not hold.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from serving.controlplane.wanted import Wanted
from serving.errors import ConfigurationError
from serving.tuning.findings import Findings, Tried
from serving.tuning.outlook import Outlook
from serving.tuning.space import FIRST_BATCH, SMALLER_BATCH, Layout, Space
from serving.tuning.stand import Stand
from serving.tuning.trying import CLIMBS_BY, Hearer, Trying

_NEAR, _NEAR_ENOUGH, _PERHAPS = 0.8, 0.9, 0.5
_GAIN = 1.03
_VARIANTS_ON, _LAYOUTS_ON, _CLIMBERS = 2, 3, 4
# Of the budget: by then a round begins nothing more.
_VARIANTS_BY, _LAYOUTS_BY, _BATCHES_BY = 0.25, 0.4, 0.5

Clock = Callable[[], float]


class Search:
    """Looks for the way to deploy that holds a p99 at the most frames a second.

    Args:
        stand: Where ways are tried.
        space: What may be tried.
        findings: Gets everything, and is good at any moment.
        p99_ms: From a frame's arrival to its answer, the target.
        budget_s: Nothing is begun later.
        hearer: Told of progress.
        clock: In seconds.
    """

    def __init__(
        self,
        stand: Stand,
        space: Space,
        findings: Findings,
        *,
        p99_ms: float,
        budget_s: float,
        hearer: Hearer,
        clock: Clock = time.monotonic,
    ) -> None:
        self._findings = findings
        self._space = space
        self._p99_ms = p99_ms
        self._outlook = Outlook(clock, budget_s)
        self._trying = Trying(stand, self._findings, self._outlook, hearer, p99_ms)

    async def run(self) -> None:
        """Search until the budget is spent or nothing is left to try.

        Raises:
            ConfigurationError: No variant answers rightly here; or one of the frames is no image.
        """
        self._outlook.plan(variants=len(self._space.variants), layouts=2, batches=2, climbs=2)
        await self._variants()
        await self._layouts()
        await self._batches()
        await self._climbs()
        await self._confirm()

    async def _variants(self) -> None:
        layout = self._space.layouts[0]
        ways = [_way(name, layout) for name in self._space.variants]
        for number, way in enumerate(ways):
            if (
                number == 0
                or not self._outlook.is_past(_VARIANTS_BY)
                or not self._findings.usable()
            ):
                await self._trying.probe(way, "variants")
        if not self._findings.usable():
            faults = "; ".join(
                f"{one.wanted.variant}: {one.why_not}" for one in self._findings.tried
            )
            raise ConfigurationError(f"no variant answers rightly on this machine: {faults}")

    async def _layouts(self) -> None:
        names = [one.wanted.variant for one in self._near(_NEAR)[:_VARIANTS_ON]]
        ways = [_way(name, layout) for layout in self._space.layouts[1:] for name in names]
        await self._round(ways, "layouts", _LAYOUTS_BY)

    async def _batches(self) -> None:
        """Climb from the first batch up while that pays, and look whether batches pay at all."""
        ways = [one.wanted for one in self._near(_NEAR)[:_LAYOUTS_ON]]
        await self._round([replace(way, batch_size=1) for way in ways], "batches", _BATCHES_BY)
        for way in ways:
            answered = self._findings.frames_per_s(way)
            if self._is_too_slow_full(way, answered):
                smaller = replace(way, batch_size=SMALLER_BATCH)
                if not (
                    self._is_too_slow_full(smaller, answered) or self._outlook.is_past(_BATCHES_BY)
                ):
                    await self._trying.probe(smaller, "batches")
                continue
            if answered < _GAIN * self._findings.frames_per_s(replace(way, batch_size=1)):
                continue  # larger ones only make frames wait for one another
            for size in (one for one in self._space.batch_sizes if one > way.batch_size):
                larger = replace(way, batch_size=size)
                if self._is_too_slow_full(larger, answered) or self._outlook.is_past(_BATCHES_BY):
                    break
                await self._trying.probe(larger, "batches")
                if self._findings.frames_per_s(larger) < _GAIN * answered:
                    break
                answered = self._findings.frames_per_s(larger)

    async def _climbs(self) -> None:
        climbers = self._climbers()
        self._outlook.plan(climbs=len(climbers))
        for number, tried in enumerate(climbers):
            if number and self._outlook.is_past(CLIMBS_BY):
                break
            await self._trying.climb(tried)
        for way in self._waiting_ways():
            if not self._outlook.is_past(CLIMBS_BY):
                patient = Tried(way, self._findings.frames_per_s(replace(way, batch_delay_ms=0)))
                self._findings.tried.append(patient)
                await self._trying.climb(patient)

    async def _confirm(self) -> None:
        """Measure the highest point for longer, until one holds."""
        looked: list[tuple[Wanted, float]] = []
        highest = self._findings.highest(self._p99_ms)
        while highest is not None and not highest.confirmed and not self._outlook.is_over:
            if (highest.wanted, highest.rate) in looked:
                break  # it came through, with too few frames to call it confirmed
            looked.append((highest.wanted, highest.rate))
            await self._trying.confirm(highest)
            highest = self._findings.highest(self._p99_ms)

    async def _round(self, ways: Sequence[Wanted], stage: str, by: float) -> None:
        self._outlook.plan(**{stage: len(ways)})
        for way in ways:
            if not self._outlook.is_past(by):
                await self._trying.probe(way, stage)
        self._outlook.plan(**{stage: 0})

    def _is_too_slow_full(self, way: Wanted, frames_per_s: float) -> bool:
        """Whether a full batch alone takes longer than the target, by what was measured so far."""
        return 1000 * way.workers * way.batch_size / frames_per_s > self._p99_ms

    def _climbers(self) -> list[Tried]:
        """Return who is measured under load: who promises most, then one of each other layout."""
        near = self._near(_NEAR_ENOUGH)[:_CLIMBERS]
        seen = {_shape(one.wanted) for one in near}
        others = []
        for one in self._near(_PERHAPS):
            if _shape(one.wanted) not in seen:
                seen.add(_shape(one.wanted))
                others.append(one)
        return near + others

    def _near(self, share: float) -> list[Tried]:
        return self._findings.near(share, self._p99_ms)

    def _waiting_ways(self) -> list[Wanted]:
        """Return the best way with waits for its batches, as far as a fuller batch saves more."""
        best = self._findings.best(self._p99_ms)
        if best is None or best.wanted.batch_size == 1:
            return []
        one_by_one = self._findings.frames_per_s(replace(best.wanted, batch_size=1))
        together = self._findings.frames_per_s(best.wanted)
        if not one_by_one or not together:
            return []
        frames = best.wanted.workers * best.wanted.batch_size
        saved_ms = 1000 * frames * (1 / one_by_one - 1 / together)
        delays = [one for one in self._space.batch_delays_ms if one < saved_ms]
        return [replace(best.wanted, batch_delay_ms=delay) for delay in delays[-2:]]


def _shape(way: Wanted) -> tuple[str, int, int | None]:
    return way.variant, way.workers, way.threads


def _way(variant: str, layout: Layout) -> Wanted:
    return Wanted(
        workers=layout.workers, threads=layout.threads, batch_size=FIRST_BATCH, variant=variant
    )
