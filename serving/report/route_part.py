"""One route's part of the page: its charts, and a line for each arm and release."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup

from serving import words
from serving.report.gathered import Gathered
from serving.report.period import Period
from serving.report.time_chart import Line, Mark, Scale, time_chart
from serving.store.side_sums import Side, Sums

# As many as the page has styles for; the others are in the table.
MOST_LINES = 6
_MOST_CODES = 5

Value = Callable[[Sums], float | None]


@dataclass(frozen=True)
class Chart:
    """A drawn chart.

    Attributes:
        title: Above it, with its unit.
        svg: The drawing.
    """

    title: str
    svg: Markup


@dataclass(frozen=True)
class Key:
    """What a line's style stands for."""

    style: int
    text: str


@dataclass(frozen=True)
class SideRow:
    """One arm and release in figures, as people read them.

    Attributes:
        style: Of its lines; None where it has none.
        cells: In the order of `SIDE_HEADS`.
    """

    style: int | None
    arm: str
    release: str
    cells: Sequence[str]


SIDE_HEADS = (
    *("Frames", "Answered", "Failed", "Stood in", "p50", "p90", "p99"),
    *("Compared", "Agreement", "Overlap"),
)


@dataclass(frozen=True)
class RoutePart:
    """One route.

    Attributes:
        name: Its name.
        keys: Of the charts' lines.
        charts: In their order.
        rows: One for each arm and release.
        codes: What frames ended in that their arm did not answer, each with its count.
        stood_in: How many of them another arm answered.
        undrawn: Arms and releases for which the charts have no style left.
        now: Its arms at the period's end.
    """

    name: str
    keys: Sequence[Key]
    charts: Sequence[Chart]
    rows: Sequence[SideRow]
    codes: Sequence[tuple[str, str]]
    stood_in: int
    undrawn: int
    now: str


def route_part(gathered: Gathered, route: str, marks: Sequence[Mark]) -> RoutePart:
    """Put a route's part together."""
    sides = gathered.traffic.of(route)
    revisions = [one for one in gathered.revisions if one["name"] == route]
    weights = {
        side: points
        for side, points in _weights(revisions, gathered.period).items()
        if side in sides or any(weight for _, weight in points)
    }
    found = [*sides, *sorted(set(weights) - set(sides))]
    shown = found[:MOST_LINES]
    styles = {side: style for style, side in enumerate(shown)}
    charts = _charts(gathered, styles, marks)
    lines = [
        Line(_name(side), styles[side], weights[side], stepped=True)
        for side in shown
        if side in weights
    ]
    drawn = time_chart("Weight", gathered.period, lines, marks, Scale("%", top=100))
    charts.insert(1, Chart(f"Weight, % of {_split(revisions)}", Markup(drawn)))  # noqa: S704
    return RoutePart(
        name=route,
        keys=[Key(style, _name(side)) for side, style in styles.items()],
        charts=charts,
        rows=[_row(side, gathered.traffic.totals[side], styles.get(side)) for side in sides],
        codes=_codes(gathered, sides),
        stood_in=sum(gathered.traffic.totals[side].stood_in["ok"] for side in sides),
        undrawn=len(found) - len(shown),
        now=", ".join(_arm(arm) for arm in revisions[-1]["arms"]) if revisions else "",
    )


def _split(revisions: Sequence[Mapping[str, Any]]) -> str:
    """Return what weights are shares of: what the splits of the period went by."""
    what = {"camera": "the cameras", "none": "the requests"}
    names = {what.get(one["sticky"], "a header's values") for one in revisions}
    return " or ".join(sorted(names)) or "the cameras"


def _arm(arm: Mapping[str, Any]) -> str:
    return f"{arm['name']} {words.weight(arm['weight'])} ({arm['release']})"


def _name(side: Side) -> str:
    return f"{side.arm} · {side.release}"


def _charts(gathered: Gathered, styles: Mapping[Side, int], marks: Sequence[Mark]) -> list[Chart]:
    period = gathered.period

    def chart(title: str, value: Value, scale: Scale) -> Chart:
        lines = [
            Line(_name(side), style, _points(gathered.traffic.sides.get(side, {}), value, period))
            for side, style in styles.items()
        ]
        drawn = time_chart(title, period, lines, marks, scale)
        return Chart(title, Markup(drawn))  # noqa: S704 - the drawing escapes what it is given

    def milliseconds(share: float) -> Value:
        def value(sums: Sums) -> float | None:
            seconds = sums.quantile_s(share)
            return None if seconds is None else 1000 * seconds

        return value

    return [
        _rate(gathered, styles, marks),
        chart("Latency p50, ms", milliseconds(0.5), Scale(least_top=10)),
        chart("Latency p99, ms", milliseconds(0.99), Scale(least_top=10)),
        chart("Failed, % of the arm's frames", _percent(lambda one: one.error_rate), Scale("%")),
        chart(
            "Agreement of the shadow (F1), %",
            _percent(lambda one: one.agreement),
            Scale("%", top=100),
        ),
    ]


def _rate(gathered: Gathered, styles: Mapping[Side, int], marks: Sequence[Mark]) -> Chart:
    period, title = gathered.period, "Frames a second"
    lines = []
    for side, style in styles.items():
        course = gathered.traffic.sides.get(side, {})
        points = [
            (_middle(at, period), sums.handed / lasted_s)
            for at, sums in sorted(course.items())
            # The last step may be a part of one; it is of whole windows, as the period is.
            if (lasted_s := min(period.step_s, (period.until - at).total_seconds())) > 0
            and sums.handed
        ]
        lines.append(Line(_name(side), style, points))
    return Chart(title, Markup(time_chart(title, period, lines, marks, Scale())))  # noqa: S704


def _percent(of: Value) -> Value:
    def value(sums: Sums) -> float | None:
        share = of(sums)
        return None if share is None else 100 * share

    return value


def _points(
    course: Mapping[datetime, Sums], value: Value, period: Period
) -> list[tuple[datetime, float]]:
    found = [(_middle(at, period), value(course[at])) for at in sorted(course)]
    return [(at, one) for at, one in found if one is not None]


def _middle(at: datetime, period: Period) -> datetime:
    return min(at + timedelta(seconds=period.step_s / 2), period.until)


def _weights(
    revisions: Sequence[Mapping[str, Any]], period: Period
) -> dict[Side, list[tuple[datetime, float]]]:
    """Return each side's weight from one change to the next, up to the period's end."""
    moments = [
        (max(datetime.fromisoformat(one["at"]), period.since), _by_side(one)) for one in revisions
    ]
    sides = {side for _, weights in moments for side in weights}
    if moments:
        moments.append((period.until, moments[-1][1]))
    return {
        side: [(at, weights.get(side, 0.0)) for at, weights in moments] for side in sorted(sides)
    }


def _by_side(revision: Mapping[str, Any]) -> dict[Side, float]:
    return {
        Side(revision["name"], arm["name"], arm["release"]): arm["weight"]
        for arm in revision["arms"]
    }


def _row(side: Side, total: Sums, style: int | None) -> SideRow:
    quantiles = [words.milliseconds(total.quantile_s(share)) for share in (0.5, 0.9, 0.99)]
    answered = total.codes["ok"] / total.frames if total.frames else None
    cells = (
        f"{total.frames:,}",
        words.percent(answered, digits=2),
        f"{total.errors:,}",
        f"{total.stood_in['ok']:,}",
        *quantiles,
        f"{total.compared:,}",
        words.percent(total.agreement),
        words.percent(total.iou / total.matched if total.matched else None),
    )
    return SideRow(style, side.arm, side.release, cells)


def _codes(gathered: Gathered, sides: Sequence[Side]) -> list[tuple[str, str]]:
    found = Sums()
    for side in sides:
        found.codes.update(gathered.traffic.totals[side].codes)
    del found.codes["ok"]
    return [(code, f"{count:,}") for code, count in found.codes.most_common(_MOST_CODES)]
