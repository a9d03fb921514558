"""Charts: where lines run, break, and begin."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.commands.report_arguments import read_period
from serving.report.period import Period
from serving.report.time_chart import Line, Mark, Scale, time_chart, time_ticks, value_ticks

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
HOURS = Period(datetime(2026, 11, 21, tzinfo=UTC), datetime(2026, 11, 21, 12, tzinfo=UTC), 3600)


def hour(number: float) -> datetime:
    return HOURS.since + timedelta(hours=number)


def drawn(*points: tuple[float, float], stepped: bool = False) -> str:
    line = Line("a", 0, [(hour(at), value) for at, value in points], stepped=stepped)
    return time_chart("Title", HOURS, [line], [], Scale(top=10))


def paths(svg: str) -> list[list[tuple[float, float]]]:
    found = re.findall(r'points="([^"]*)"', svg)
    return [[tuple(map(float, xy.split(","))) for xy in one.split()] for one in found]  # type: ignore[misc]


def test_a_line_breaks_where_a_step_is_missing_and_a_lone_value_is_a_dot() -> None:
    svg = drawn((0, 1), (1, 2), (4, 5), (8, 1), (9, 1))
    first, second = paths(svg)
    assert [len(first), len(second)] == [2, 2]
    assert svg.count("<circle") == 1


def test_values_lie_between_the_axis_and_the_top() -> None:
    ((left, bottom), (right, top)) = paths(drawn((0, 0), (1, 10)))[0]
    assert (left, bottom, top) == (46.0, 176.0, 10.0)
    assert right == pytest.approx(46 + (560 - 46 - 8) / 12, abs=0.1)


def test_a_weight_holds_until_the_next_change() -> None:
    (path,) = paths(drawn((0, 10), (6, 5), (12, 5), stepped=True))
    ys = [y for _, y in path]
    assert ys == [10.0, 10.0, 93.0, 93.0, 93.0]


def test_without_a_value_a_sentence_says_so() -> None:
    assert "Nothing was measured" in drawn()


def test_what_marks_and_lines_are_called_is_escaped() -> None:
    mark = Mark(hour(1), "change", "<script>")
    svg = time_chart("a < b", HOURS, [Line('"x"<', 0, [(hour(1), 1)])], [mark], Scale())
    assert "<script>" not in svg
    assert "&lt;script&gt;" in svg
    assert 'aria-label="a &lt; b: &quot;x&quot;&lt;"' in svg


@given(st.floats(1e-6, 1e9))
def test_value_ticks_reach_the_top_in_few_round_steps(top: float) -> None:
    ticks = value_ticks(top)
    assert ticks[0] == 0
    assert ticks[-1] >= top * 0.999
    assert 3 <= len(ticks) <= 6
    assert ticks[-2] < top


@given(st.integers(65, 31 * 86_400))
def test_a_period_of_any_length_has_few_steps_and_few_round_ticks(seconds: int) -> None:
    since = (NOW - timedelta(seconds=seconds)).isoformat()
    period = read_period(since, None, NOW)
    assert period.seconds / period.step_s <= 181
    assert period.since.timestamp() % period.step_s == 0
    assert timedelta(0) <= NOW - timedelta(seconds=seconds) - period.since
    assert period.step_s % period.asked_step_s == 0
    ticks = time_ticks(period)
    assert len(ticks) <= 9
    assert all(period.since <= at <= period.until for at in ticks)


@given(st.integers(65, 31 * 86_400))
def test_the_parts_of_a_period_are_the_period(seconds: int) -> None:
    period = read_period((NOW - timedelta(seconds=seconds)).isoformat(), None, NOW)
    parts = list(period.parts(86_400))
    assert (parts[0][0], parts[-1][1]) == (period.since, period.until)
    assert all(before[1] == after[0] for before, after in pairwise(parts))
    assert all((end - begin) <= timedelta(days=1) for begin, end in parts)
    assert all(
        (begin - period.since).total_seconds() % period.asked_step_s == 0 for begin, _ in parts
    )


def test_times_are_read_as_they_are_typed() -> None:
    week = read_period("7d", None, NOW)
    assert (week.since, week.until, week.step_s) == (
        datetime(2026, 11, 14, 12, tzinfo=UTC),
        NOW - timedelta(seconds=5),
        3600,
    )
    day = read_period("2026-11-20", "2026-11-21", NOW)
    assert (day.since.isoformat(), day.until.isoformat()) == (
        "2026-11-20T00:00:00+00:00",
        "2026-11-21T00:00:00+00:00",
    )
    zoned = read_period("2026-11-20T01:00+01:00", "1d", NOW)
    assert zoned.since == datetime(2026, 11, 20, tzinfo=UTC)
    assert zoned.until == NOW - timedelta(days=1)
    between_windows = read_period("1h", "2026-11-20T10:00:03", NOW)
    assert between_windows.until == datetime(2026, 11, 20, 10, tzinfo=UTC)
    future = read_period("1h", "2027-01-01", NOW)
    assert future.until == NOW - timedelta(seconds=5)
