"""A route's traffic over the last hour, added up from the store's windows."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from serving.dataplane.recorder import CAMERAS_OWN
from serving.histogram import quantile_s
from serving.store.observations import WINDOW_S, Window

SPAN = timedelta(hours=1)
"""What is kept."""

# A camera that is silent for so long is not among those that a change would move.
_CAMERA_LASTS = timedelta(minutes=15)


class Side(NamedTuple):
    """Who answered: an arm, and the release that it had then."""

    arm: str
    release: str


@dataclass
class Sums:
    """What one side answered in some time.

    Attributes:
        frames: Requests that were not refused through the camera's own fault.
        errors: Those of them that ended without detections.
        latency: Of the answered ones, by bucket of `serving.histogram`.
        compared: Frames that this side answered in the shadow of another.
        f1: Sum over those frames of their F1.
    """

    frames: int = 0
    errors: int = 0
    latency: dict[int, int] = field(default_factory=dict)
    compared: int = 0
    f1: float = 0.0

    def add(self, other: "Sums") -> None:
        """Add another's counts."""
        self.frames += other.frames
        self.errors += other.errors
        self.compared += other.compared
        self.f1 += other.f1
        for bucket, number in other.latency.items():
            self.latency[bucket] = self.latency.get(bucket, 0) + number

    @property
    def error_rate(self) -> float | None:
        """Share of the frames without an answer, 0 to 1; None without a frame."""
        return self.errors / self.frames if self.frames else None

    @property
    def agreement(self) -> float | None:
        """Mean F1 with the arm that answered the camera, 0 to 1; None without a comparison."""
        return self.f1 / self.compared if self.compared else None

    def quantile_s(self, share: float) -> float | None:
        """Return the latency that a share of the answers does not exceed, in seconds."""
        return quantile_s(self.latency, share)


class Point(NamedTuple):
    """A step of a chart.

    Attributes:
        at: Its beginning, UTC.
        sums: What was counted in it.
    """

    at: datetime
    sums: Sums


class RouteTraffic:
    """A route's windows, added up by five seconds and side; those before the span are forgotten."""

    def __init__(self) -> None:
        self._slots: dict[datetime, dict[Side, Sums]] = {}
        self._cameras: dict[str, tuple[datetime, Side]] = {}

    def add(self, windows: Iterable[Window]) -> None:
        """Add windows, each once."""
        for window in windows:
            side = Side(window.arm, str(window.release))
            slot = self._slots.setdefault(window.start, {})
            slot.setdefault(side, Sums()).add(_sums(window))
            if window.kind != "shadow":
                self._see(window, side)

    def forget(self, before: datetime) -> None:
        """Drop what is older than the span."""
        for start in [one for one in self._slots if one < before - SPAN]:
            del self._slots[start]
        silent = before - _CAMERA_LASTS
        self._cameras = {name: seen for name, seen in self._cameras.items() if seen[0] >= silent}

    def cameras(self) -> list[str]:
        """Return the cameras that send frames now, by name."""
        return sorted(self._cameras)

    def cameras_of(self, now: datetime, within: timedelta) -> dict[Side, int]:
        """Return how many cameras each side was the last to answer, of those seen within a time."""
        counts: dict[Side, int] = {}
        for at, side in self._cameras.values():
            if at >= now - within:
                counts[side] = counts.get(side, 0) + 1
        return counts

    def last(self, now: datetime, within: timedelta) -> dict[Side, Sums]:
        """Return each side's sums since `now - within`."""
        found: dict[Side, Sums] = {}
        for start, slot in self._slots.items():
            if start >= now - within:
                for side, sums in slot.items():
                    found.setdefault(side, Sums()).add(sums)
        return found

    def seconds_covered(self, now: datetime, within: timedelta) -> float:
        """Return how much of the time before `now` the windows speak of, in seconds."""
        known = [start for start in self._slots if start >= now - within]
        if not known:
            return 0.0
        return (max(known) - min(known)).total_seconds() + WINDOW_S

    def series(self, now: datetime, span: timedelta, step_s: float) -> dict[Side, list[Point]]:
        """Return each side's course, in steps on the clock's whole multiples of `step_s`.

        Args:
            now: UTC.
            span: How far back.
            step_s: Length of a step, a multiple of the windows' 5 s.
        """
        courses: dict[Side, dict[float, Sums]] = {}
        for start, slot in self._slots.items():
            if start < now - span:
                continue
            step = start.timestamp() // step_s * step_s
            for side, sums in slot.items():
                courses.setdefault(side, {}).setdefault(step, Sums()).add(sums)
        return {
            side: [
                Point(datetime.fromtimestamp(step, now.tzinfo), course[step])
                for step in sorted(course)
            ]
            for side, course in sorted(courses.items())
        }

    def _see(self, window: Window, side: Side) -> None:
        for name in window.cameras:
            known = self._cameras.get(name)
            if known is None or known[0] <= window.start:
                self._cameras[name] = (window.start, side)


def _sums(window: Window) -> Sums:
    if window.kind == "shadow":
        agreement = window.agreement
        return Sums() if agreement is None else Sums(compared=agreement.frames, f1=agreement.f1)
    own = sum(number for code, number in window.codes.items() if code in CAMERAS_OWN)
    frames = sum(window.codes.values()) - own
    answered = window.codes.get("ok", 0)
    return Sums(frames=frames, errors=frames - answered, latency=window.latency)
