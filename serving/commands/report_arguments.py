"""A report's period, as an operator types it."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import typer

from serving.commands.durations import seconds_of
from serving.report.period import Period, whole_step
from serving.store.observations import WINDOW_S

# The longest month.
_LONGEST_S = 31 * 86_400
_SHORTEST_S = 60


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
    end = whole_step(end, WINDOW_S)
    begin = _moment(since, end, "--since")
    span_s = (end - begin).total_seconds()
    if not _SHORTEST_S <= span_s <= _LONGEST_S:
        raise typer.BadParameter(
            f"{since}: {span_s:g} s before the end; a report is of {_SHORTEST_S} s to "
            f"{_LONGEST_S // 86_400} days",
            param_hint="--since",
        )
    return Period.between(begin, end)


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
