"""What the arms answered, added up by step from what the admin API tells."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from serving.dataplane.recorder import CAMERAS_OWN
from serving.histogram import quantile_s
from serving.report.period import Period


class Side(NamedTuple):
    """Who answered: an arm of a route, and the release that it had then."""

    route: str
    arm: str
    release: str


@dataclass
class Sums:
    """What one side, or several, did in some time.

    Attributes:
        codes: Frames that the split gave it by the code they ended in there.
        stood_in: Frames of other arms that it was handed, likewise.
        latency: Of the answered ones of the split, by bucket of `serving.histogram`.
        stood_in_latency: Of the answered ones of other arms, where they lost time first.
        compared: Frames that it answered in the shadow of another arm.
        f1: Sum over those frames.
        matched: Pairs of boxes in them.
        iou: Sum over the pairs.
        score_difference: Sum over the pairs.
        count_difference: Sum over the frames of how many boxes more or less it found.
    """

    codes: Counter[str] = field(default_factory=Counter)
    stood_in: Counter[str] = field(default_factory=Counter)
    latency: Counter[int] = field(default_factory=Counter)
    stood_in_latency: Counter[int] = field(default_factory=Counter)
    compared: int = 0
    f1: float = 0.0
    matched: int = 0
    iou: float = 0.0
    score_difference: float = 0.0
    count_difference: int = 0

    def add(self, step: Mapping[str, Any]) -> None:
        """Add a step of the admin API's."""
        agreement = step["agreement"]
        if step["kind"] == "shadow":
            if agreement is not None:
                self._compare(agreement)
            return
        mine = step["kind"] == "primary"
        (self.codes if mine else self.stood_in).update(step["codes"])
        latency = self.latency if mine else self.stood_in_latency
        for bucket, count in step["latency"].items():
            latency[int(bucket)] += count

    def _compare(self, agreement: Mapping[str, Any]) -> None:
        self.compared += agreement["frames"]
        self.f1 += agreement["f1"]
        self.matched += agreement["matched"]
        self.iou += agreement["iou"]
        self.score_difference += agreement["score_difference"]
        self.count_difference += agreement["count_difference"]

    @property
    def refused(self) -> int:
        """Frames that ended by the camera's own fault."""
        return sum(count for code, count in self.codes.items() if code in CAMERAS_OWN)

    @property
    def frames(self) -> int:
        """Frames that the split gave it, without those refused."""
        return self.codes.total() - self.refused

    @property
    def errors(self) -> int:
        """Those of its frames that it did not answer; another arm may have."""
        return self.frames - self.codes["ok"]

    @property
    def error_rate(self) -> float | None:
        """Share of its frames, 0 to 1; None without a frame."""
        return self.errors / self.frames if self.frames else None

    @property
    def agreement(self) -> float | None:
        """Mean F1 with the arm that answered the camera, 0 to 1; None without a comparison."""
        return self.f1 / self.compared if self.compared else None

    def quantile_s(self, share: float) -> float | None:
        """Return the latency that a share of the answers to its own frames stays within, in s."""
        return quantile_s(self.latency, share)

    def answer_quantile_s(self, share: float) -> float | None:
        """Return likewise of all its answers, those to other arms' frames too, in seconds."""
        return quantile_s(self.latency + self.stood_in_latency, share)


@dataclass
class Traffic:
    """A period's.

    Attributes:
        sides: Each side's sums by the beginning of the step.
        totals: Each side's.
        all: Everybody's.
    """

    sides: dict[Side, dict[datetime, Sums]] = field(default_factory=dict)
    totals: dict[Side, Sums] = field(default_factory=dict)
    all: Sums = field(default_factory=Sums)

    def add(self, steps: Iterable[Mapping[str, Any]], period: Period) -> None:
        """Add steps of the admin API's."""
        for step in steps:
            side = Side(step["route"], step["arm"], step["release"])
            at = period.step_of(datetime.fromisoformat(step["start"]))
            course = self.sides.setdefault(side, {})
            total = self.totals.setdefault(side, Sums())
            for sums in (course.setdefault(at, Sums()), total, self.all):
                sums.add(step)

    def routes(self) -> list[str]:
        """Return the routes that had traffic, by name."""
        return sorted({side.route for side in self.sides})

    def of(self, route: str) -> list[Side]:
        """Return a route's sides, those of the most frames first."""
        mine = [side for side in self.sides if side.route == route]

        def weight(side: Side) -> int:
            total = self.totals[side]
            return total.codes.total() + total.stood_in.total() + total.compared

        return sorted(mine, key=lambda side: (-weight(side), side))

    @property
    def unanswered(self) -> int:
        """Frames that no arm answered: what failed at the split's arm and no other stood in for."""
        return max(0, self.all.errors - self.all.stood_in["ok"])
