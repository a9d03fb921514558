"""From when to when, and in which steps."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import typer

from serving.commands.rollout_arguments import seconds_of
from serving.store.observations import WINDOW_S

# The longest month.
_LONGEST_S = 31 * 86_400
_SHORTEST_S = 60
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
        return _whole(at, self.step_s)

    def parts(self, longest_s: int) -> Iterator[tuple[datetime, datetime]]:
        """Yield the period in parts of at most so many seconds, a multiple of the step."""
        start = self.since
        while start < self.until:
            end = min(start + timedelta(seconds=longest_s), self.until)
            yield start, end
            start = end


def read_period(since: str, until: str | None, now: datetime) -> Period:
    """Return the period that an operator has typed.

    Args:
        since: "7d" before the end, or a time: 2026-11-21, 2026-11-21T08:00, in UTC without a zone.
        until: Likewise, before now; None: now.
        now: UTC.

    Raises:
        typer.BadParameter: It does not read so, is empty, or longer than a month.
    """
    # The last window that every gateway has had the time to write.
    latest = now - timedelta(seconds=WINDOW_S)
    end = latest if until is None else min(_moment(until, now, "--until"), latest)
    end = _whole(end, WINDOW_S)
    begin = _moment(since, end, "--since")
    span_s = (end - begin).total_seconds()
    if not _SHORTEST_S <= span_s <= _LONGEST_S:
        raise typer.BadParameter(
            f"{since}: {span_s:g} s before the end; a report is of {_SHORTEST_S} s to "
            f"{_LONGEST_S // 86_400} days",
            param_hint="--since",
        )
    step_s = next((one for one in _STEPS_S if span_s / one <= _MOST_STEPS), _STEPS_S[-1])
    return Period(_whole(begin, step_s), end, step_s)


def _whole(at: datetime, step_s: float) -> datetime:
    """Return the beginning of the step that a moment lies in; steps begin at the epoch's."""
    return datetime.fromtimestamp(at.timestamp() // step_s * step_s, UTC)


def _moment(text: str, before: datetime, option: str) -> datetime:
    with suppress(ValueError, OverflowError):
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    try:
        return before - timedelta(seconds=seconds_of(text, option))
    except (typer.BadParameter, OverflowError):
        raise typer.BadParameter(
            f"{text}: a time reads 7d, 12h, 2026-11-21 or 2026-11-21T08:00 (UTC)",
            param_hint=option,
        ) from None
