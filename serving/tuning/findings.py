"""What a search has found so far."""

import math
from dataclasses import dataclass, field

from serving.controlplane.wanted import Wanted
from serving.tuning.load import Measured


@dataclass(frozen=True)
class Point:
    """One way to deploy under one load.

    Attributes:
        wanted: The way.
        rate: Frames a second that were offered.
        measured: What came of them.
        confirmed: Whether it was measured for long.
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

    def near(self, share: float) -> list[Tried]:
        """Return the ways that answer this share of what the best does, or more, the best first."""
        usable = self.usable()
        return [one for one in usable if one.frames_per_s >= share * usable[0].frames_per_s]

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

    def best(self, p99_ms: float) -> Point | None:
        """Return where the most frames were answered within a p99; None: nowhere."""
        within = [one for one in self.points if one.holds(p99_ms)]
        return max(within, key=lambda one: (one.rate, one.confirmed), default=None)

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
