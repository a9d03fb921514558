"""What the arms answered, added up by step from what the admin API tells."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from serving.report.period import Period
from serving.store.side_sums import Side, Sums


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
            latency = {int(bucket): count for bucket, count in step["latency"].items()}
            course = self.sides.setdefault(side, {})
            total = self.totals.setdefault(side, Sums())
            for sums in (course.setdefault(at, Sums()), total, self.all):
                sums.count(step["kind"], step["codes"], latency, step["agreement"])

    def routes(self) -> list[str]:
        """Return the routes that had traffic, by name."""
        return sorted({side.route for side in self.sides})

    def of(self, route: str) -> list[Side]:
        """Return a route's sides, those of the most frames first."""
        mine = [side for side in self.sides if side.route == route]

        def weight(side: Side) -> int:
            total = self.totals[side]
            return total.handed + total.compared

        return sorted(mine, key=lambda side: (-weight(side), side))
