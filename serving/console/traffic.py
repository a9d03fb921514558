"""A route's traffic over the last hour, added up from the store's windows."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple

from serving.store.glances import Glance
from serving.store.observations import WINDOW_S
from serving.store.side_sums import Side, Sums

SPAN = timedelta(hours=1)
"""What is kept."""

LATELY = timedelta(seconds=60)
"""What the numbers beside an arm speak of; long enough for a camera of a frame a minute."""

CAMERA_LASTS = timedelta(minutes=15)
"""A camera that is silent for so long is not among those that a change would move."""

# Gateways write a window soon after its end.
_LATE_S = 1.0


class Seen(NamedTuple):
    """A camera that sends frames.

    Attributes:
        at: The newest window in which it did, UTC.
        side: The last that answered it; None: none has.
        answered: Whether that was in the newest window.
    """

    at: datetime
    side: Side | None
    answered: bool


class Lately(NamedTuple):
    """The last minute of whole windows.

    Attributes:
        sums: Each side's.
        seconds: How long it is; less where the route's first window is younger.
    """

    sums: Mapping[Side, Sums]
    seconds: float


class Point(NamedTuple):
    """A step of a chart.

    Attributes:
        at: Its beginning, UTC.
        sums: What was counted in it.
        seconds: How much of it windows can speak of: the first and the last are seldom whole.
    """

    at: datetime
    sums: Sums
    seconds: float


class _Answer(NamedTuple):
    """What a camera got in one window; the greatest counts.

    The later one; of one window, who answered more; of as many, the split's arm.
    """

    start: datetime
    frames: int
    is_primary: bool
    side: Side


class RouteTraffic:
    """A route's windows, added up by five seconds and side; those before the span are forgotten.

    Args:
        route: Its name.
    """

    def __init__(self, route: str) -> None:
        self._route = route
        self._slots: dict[datetime, dict[Side, Sums]] = {}
        self._newest: dict[str, datetime] = {}
        self._answers: dict[str, _Answer] = {}
        self._added = 0
        self._series: dict[tuple[timedelta, float], tuple[object, dict[Side, list[Point]]]] = {}

    def add(self, window: Glance) -> None:
        """Add a window; each once."""
        side = Side(self._route, window.arm, window.release)
        sums = self._slots.setdefault(window.start, {}).setdefault(side, Sums())
        sums.count(window.kind, window.codes, window.latency, window.agreement)
        self._added += 1
        for name, answered in window.cameras.items():
            self._newest[name] = max(self._newest.get(name, window.start), window.start)
            if answered:
                found = _Answer(window.start, answered, window.kind == "primary", side)
                self._answers[name] = max(self._answers.get(name, found), found)

    def forget(self, before: datetime) -> None:
        """Drop what is older than the span."""
        for start in [one for one in self._slots if one < before - SPAN]:
            del self._slots[start]
        for name in [one for one, at in self._newest.items() if at < before - CAMERA_LASTS]:
            del self._newest[name]
            self._answers.pop(name, None)

    def cameras(self) -> list[str]:
        """Return the cameras that sent frames in the last quarter of an hour, by name."""
        return sorted(self._newest)

    def seen(self) -> dict[str, Seen]:
        """Return each of these cameras with who answers it."""
        return {name: self._seen(name, at) for name, at in self._newest.items()}

    def _seen(self, name: str, at: datetime) -> Seen:
        answer = self._answers.get(name)
        return Seen(at, answer and answer.side, answer is not None and answer.start == at)

    def cameras_lately(self, now: datetime) -> Counter[Side | None]:
        """Return how many cameras of the last minute each side answers; None: nobody does."""
        found: Counter[Side | None] = Counter()
        for name, at in self._newest.items():
            if at >= now - LATELY:
                seen = self._seen(name, at)
                found[seen.side if seen.answered else None] += 1
        return found

    def lately(self, now: datetime) -> Lately:
        """Return what each side did in the last minute that is written whole."""
        end = told_until(now)
        first = min(self._slots, default=end)
        begin = max(end - LATELY, first)
        found: dict[Side, Sums] = {}
        for start, slot in self._slots.items():
            if begin <= start < end:
                for side, sums in slot.items():
                    found.setdefault(side, Sums()).add(sums)
        return Lately(found, max(0.0, (end - begin).total_seconds()))

    def stamp(self, now: datetime) -> tuple[datetime, int]:
        """Return what changes when there is something new to draw."""
        return told_until(now), self._added

    def series(self, now: datetime, span: timedelta, step_s: float) -> dict[Side, list[Point]]:
        """Return each side's course, in steps on the clock's whole multiples of `step_s`.

        Args:
            now: UTC.
            span: How far back.
            step_s: Length of a step, a multiple of the windows' 5 s.
        """
        # One for everybody who looks.
        stamp, drawn = self._series.get((span, step_s), (None, {}))
        if stamp != self.stamp(now):
            drawn = self._drawn(told_until(now), span, step_s)
            self._series[span, step_s] = self.stamp(now), drawn
        return drawn

    def _drawn(self, end: datetime, span: timedelta, step_s: float) -> dict[Side, list[Point]]:
        begin_s, end_s = (end - span).timestamp(), end.timestamp()
        courses: dict[Side, dict[float, Sums]] = {}
        for start, slot in self._slots.items():
            if begin_s <= start.timestamp() < end_s:
                step = start.timestamp() // step_s * step_s
                for side, sums in slot.items():
                    courses.setdefault(side, {}).setdefault(step, Sums()).add(sums)

        def point(step: float, sums: Sums) -> Point:
            seconds = min(step + step_s, end_s) - max(step, begin_s)
            return Point(datetime.fromtimestamp(step, end.tzinfo), sums, seconds)

        return {
            side: [point(step, course[step]) for step in sorted(course)]
            for side, course in sorted(courses.items())
        }


def told_until(now: datetime) -> datetime:
    """Return the end of the last window that every gateway has had the time to write."""
    past_s = (now.timestamp() - _LATE_S) // WINDOW_S * WINDOW_S
    return datetime.fromtimestamp(past_s, now.tzinfo)


def step_for(span: timedelta, most: int) -> float:
    """Return the length of a chart's steps, in seconds: whole windows, at most so many steps."""
    return WINDOW_S * ceil(span.total_seconds() / most / WINDOW_S)
