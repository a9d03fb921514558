"""From when to when, and in which steps."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

# As many as a chart can show.
_MOST_STEPS = 180
_STEPS_S = (5, 10, 30, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600)
# What the admin API adds up as one step, at most.
_ASKED_STEP_S = 3600


@dataclass(frozen=True)
class Period:
    """What a report is about.

    Attributes:
        since: UTC, a whole multiple of the step.
        until: UTC, not included: the end of a window, so that a rate is of whole ones.
        step_s: Of its charts, in seconds.
    """

    since: datetime
    until: datetime
    step_s: int

    @classmethod
    def between(cls, begin: datetime, end: datetime) -> Self:
        """Return a period in as fine steps as a chart can show.

        Args:
            begin: UTC; the period is from the beginning of its step.
            end: UTC, the end of a window.
        """
        span_s = (end - begin).total_seconds()
        step_s = next((one for one in _STEPS_S if span_s / one <= _MOST_STEPS), _STEPS_S[-1])
        return cls(whole_step(begin, step_s), end, step_s)

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.until - self.since).total_seconds()

    @property
    def asked_step_s(self) -> int:
        """The step that the admin API is asked for; the period's is a multiple of it."""
        return min(self.step_s, _ASKED_STEP_S)

    def step_of(self, at: datetime) -> datetime:
        """Return the beginning of the step that a moment lies in."""
        return whole_step(at, self.step_s)

    def parts(self, longest_s: int) -> Iterator[tuple[datetime, datetime]]:
        """Yield the period in parts of at most so many seconds, a multiple of the step."""
        start = self.since
        while start < self.until:
            end = min(start + timedelta(seconds=longest_s), self.until)
            yield start, end
            start = end


def whole_step(at: datetime, step_s: float) -> datetime:
    """Return the beginning of the step that a moment lies in; steps begin at the epoch's."""
    return datetime.fromtimestamp(at.timestamp() // step_s * step_s, UTC)
