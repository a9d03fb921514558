"""What a search has found so far."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from serving.controlplane.wanted import Wanted
from serving.tuning.load import Measured

# What a short look shows may be too high by so much (a simulated queue: up to 1.26); a confirmed
# point that is no further below is preferred.
_LUCK = 1.3


@dataclass(frozen=True)
class Point:
    """One way to deploy under one load.

    Attributes:
        wanted: The way.
        rate: Frames a second that were offered.
        measured: What came of them.
        confirmed: Whether it was measured for long, on arrivals that did not choose it.
    """

    wanted: Wanted
    rate: float
    measured: Measured
    confirmed: bool = False

    def holds(self, p99_ms: float) -> bool:
        """Whether 99 of 100 frames were answered within so many milliseconds."""
        return self.measured.p99_ms <= p99_ms


@dataclass
class Tried:
    """One way to deploy.

    Attributes:
        wanted: The way.
        frames_per_s: That it answers at most; 0 before that was measured.
        why_not: Why it is out of the question; "" while it is not.
    """

    wanted: Wanted
    frames_per_s: float = 0.0
    why_not: str = ""

    def promise(self, p99_ms: float) -> float:
        """Return the frames a second at which it likely holds a p99; 0: it cannot.

        Of a queue with random arrivals the chance to wait for longer than t falls as
        exp(-2 (1 - load) capacity t), near enough to say who is worth a closer look.
        """
        alone_ms = 1000 * self.wanted.workers * self.wanted.batch_size / self.frames_per_s
        room = 2 * self.frames_per_s * (p99_ms - alone_ms - self.wanted.batch_delay_ms) / 1000
        if room <= 0:
            return 0.0
        low, high = 0.01, 1.0
        for _ in range(20):
            load = (low + high) / 2
            waits_too_long = load + math.log(100 * load) / room > 1
            low, high = (low, load) if waits_too_long else (load, high)
        return low * self.frames_per_s

    def one_by_one(self) -> "Tried":
        """Return it without batches, as if they gained nothing: what it may come to at best."""
        return Tried(replace(self.wanted, batch_size=1, batch_delay_ms=0), self.frames_per_s)


@dataclass
class Findings:
    """Everything tried, in order, and every load that was measured.

    Attributes:
        tried: Ways to deploy.
        points: Ways under loads.
    """

    tried: list[Tried] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)

    def of(self, wanted: Wanted) -> Tried | None:
        """Return what is known of a way."""
        return next((one for one in self.tried if one.wanted == wanted), None)

    def add(self, point: Point) -> None:
        """Keep a point; a longer look at the same load replaces the shorter one."""
        same = [one for one in self.points if (one.wanted, one.rate) == (point.wanted, point.rate)]
        self.points = [one for one in self.points if one not in same] + [point]

    def usable(self) -> list[Tried]:
        """Return the ways that answer rightly, those that answer the most first."""
        right = [one for one in self.tried if not one.why_not and one.frames_per_s > 0]
        return sorted(right, key=lambda one: -one.frames_per_s)

    def near(self, share: float, p99_ms: float) -> list[Tried]:
        """Return the ways that promise this share of what the best does, or more, the best first.

        Where none promises anything, whoever answers a few frames soonest.
        """
        hoped = {id(one): self._hoped(one, p99_ms) for one in self.usable()}
        ranked = sorted(self.usable(), key=lambda one: -hoped[id(one)])
        if not ranked or not hoped[id(ranked[0])]:
            return sorted(ranked, key=lambda one: one.wanted.workers / one.frames_per_s)[:1]
        return [one for one in ranked if hoped[id(one)] >= share * hoped[id(ranked[0])]]

    def _hoped(self, tried: Tried, p99_ms: float) -> float:
        """Return what a way promises, without batches too as long as that was not measured."""
        alone = tried.one_by_one()
        if self.of(alone.wanted) is not None:
            return tried.promise(p99_ms)
        return max(tried.promise(p99_ms), alone.promise(p99_ms))

    def frames_per_s(self, wanted: Wanted) -> float:
        """Return what a way answers at most; 0 where that is not known."""
        tried = self.of(wanted)
        return 0.0 if tried is None or tried.why_not else tried.frames_per_s

    def reject(self, tried: Tried, why_not: str) -> None:
        """Put a way out of the question, with all that was measured of it."""
        tried.why_not = why_not
        self.points = [one for one in self.points if one.wanted != tried.wanted]

    def rates(self, wanted: Wanted, p99_ms: float) -> tuple[list[float], list[float]]:
        """Return the rates at which a way held a p99, and those at which it did not."""
        mine = [one for one in self.points if one.wanted == wanted]
        held = [one.rate for one in mine if one.holds(p99_ms)]
        return held, [one.rate for one in mine if not one.holds(p99_ms)]

    def confirmed_rate(self, wanted: Wanted, p99_ms: float) -> float:
        """Return the highest rate at which a way was confirmed to hold a p99; 0: none was."""
        mine = (one for one in self._within(p99_ms) if one.confirmed and one.wanted == wanted)
        return max((one.rate for one in mine), default=0.0)

    def best(self, p99_ms: float) -> Point | None:
        """Return where the most frames were answered within a p99; None: nowhere.

        A confirmed point goes before others that are higher by no more than luck makes.
        """
        highest = self.highest(p99_ms)
        if highest is None or highest.confirmed:
            return highest
        sure = _highest(one for one in self._within(p99_ms) if one.confirmed)
        return sure if sure is not None and _LUCK * sure.rate >= highest.rate else highest

    def highest(self, p99_ms: float) -> Point | None:
        """Return the highest rate within a p99 that no longer look has refuted; None: none is."""
        return _highest(self._within(p99_ms))

    def _within(self, p99_ms: float) -> list[Point]:
        refuted: dict[Wanted, float] = {}
        for one in self.points:
            if one.confirmed and not one.holds(p99_ms):
                refuted[one.wanted] = min(one.rate, refuted.get(one.wanted, math.inf))
        return [
            one
            for one in self.points
            if one.holds(p99_ms) and one.rate < refuted.get(one.wanted, math.inf)
        ]

    def front(self) -> list[Point]:
        """Return the points to which no other is better in both frames a second and p99.

        Those with the fewest frames and the shortest p99 come first; overloads are none of them.
        """
        front: list[Point] = []
        lowest_ms = math.inf
        for point in sorted(self.points, key=_by_rate):
            if point.measured.p99_ms < lowest_ms:
                front.append(point)
                lowest_ms = point.measured.p99_ms
        return front[::-1]


def _highest(points: Iterable[Point]) -> Point | None:
    return max(
        points, key=lambda one: (one.rate, one.confirmed, -one.measured.p99_ms), default=None
    )


def _by_rate(point: Point) -> tuple[float, float]:
    return -point.measured.frames_per_s, point.measured.p99_ms


def told(wanted: Wanted) -> str:
    """Return a way to deploy in a few words."""
    delay = f" within {wanted.batch_delay_ms} ms" if wanted.batch_delay_ms else ""
    return (
        f"{wanted.variant}, {_several(wanted.workers, 'worker')} of "
        f"{_several(wanted.threads or 0, 'thread')}, batch {wanted.batch_size}{delay}"
    )


def brief(wanted: Wanted) -> str:
    """Return a way to deploy in fewer words, for beside a progress bar."""
    delay = f" within {wanted.batch_delay_ms} ms" if wanted.batch_delay_ms else ""
    shape = f"{wanted.workers} x {wanted.threads}"
    return f"{wanted.variant}, {shape}, batch {wanted.batch_size}{delay}"


def _several(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
