"""The live page's charts as ECharts' options: a line for each arm, a gap where nothing was seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from serving.console.traffic import Point
from serving.store.side_sums import Side, Sums

COLOURS = ("#4c6ef5", "#0ca678", "#e8590c", "#ae3ec9", "#1098ad", "#d6336c", "#5c940d", "#7a828c")
"""An arm's, by its place in the route; a test measures that each stands out, by day and night."""

# Readable on both.
_QUIET = "#868e96"
_GRID = "rgba(134, 142, 150, 0.22)"

Values = Callable[[Point], float | None]


@dataclass(frozen=True)
class Line:
    """One of a chart's curves for each side.

    Attributes:
        name: Beside the side's, in the legend; "" for the only one.
        value: What is drawn of a step.
        style: "solid", "dashed" or "dotted".
    """

    name: str
    value: Values
    style: str = "solid"


@dataclass(frozen=True)
class Chart:
    """What one chart shows.

    Attributes:
        title: Above it.
        unit: Of its numbers, in the title and beside each.
        lines: For each side.
        least_top: The axis goes at least up to here, so that noise does not look like a hill.
        top: The axis ends here; None: where the values do.
    """

    title: str
    unit: str
    lines: tuple[Line, ...]
    least_top: float
    top: float | None = None


def _rate(point: Point) -> float | None:
    if not point.sums.handed or point.seconds <= 0:
        return None
    return round(point.sums.handed / point.seconds, 2)


def _milliseconds(share: float) -> Values:
    def value(point: Point) -> float | None:
        seconds = point.sums.quantile_s(share)
        return None if seconds is None else round(1000 * seconds, 1)

    return value


def _percent(of: Callable[[Sums], float | None]) -> Values:
    def value(point: Point) -> float | None:
        share = of(point.sums)
        return None if share is None else round(100 * share, 2)

    return value


CHARTS = (
    Chart("Frames a second", "/s", (Line("", _rate),), least_top=1),
    Chart(
        "Latency, ms: p50, and p99 dashed",
        "ms",
        (Line("p50", _milliseconds(0.5)), Line("p99", _milliseconds(0.99), "dashed")),
        least_top=10,
    ),
    Chart(
        "Failed, % of the arm's frames",
        "%",
        (Line("", _percent(lambda one: one.error_rate)),),
        least_top=1,
    ),
    Chart(
        "Agreement in the shadow, %",
        "%",
        (Line("", _percent(lambda one: one.agreement)),),
        least_top=100,
        top=100,
    ),
)
"""The live page's."""


def options(
    chart: Chart,
    series: Mapping[Side, Sequence[Point]],
    colours: Mapping[Side, str],
    *,
    end: datetime,
    span: timedelta,
    step_s: float,
) -> dict[str, Any]:
    """Return a chart's options.

    Args:
        chart: What it shows.
        series: Each side's course.
        colours: Each side's.
        end: Of the axis, UTC.
        span: Its length.
        step_s: Length of a step: where more than two are missing, the line has a gap.
    """
    drawn = [
        _series(side, line, points, colours.get(side, _QUIET), step_s)
        for side, points in series.items()
        for line in chart.lines
        if any(line.value(point) is not None for point in points)
    ]
    return {
        "animation": False,
        "grid": {"left": 8, "right": 22, "top": 12, "bottom": 4, "containLabel": True},
        "tooltip": {
            "trigger": "axis",
            "axisPointer": {"type": "line", "lineStyle": {"color": _QUIET}},
            "confine": True,
            ":valueFormatter": f"value => value == null ? '' : value + '{chart.unit}'",
        },
        "xAxis": {
            "type": "time",
            "min": 1000 * (end - span).timestamp(),
            "max": 1000 * end.timestamp(),
            "axisLabel": {"color": _QUIET, "hideOverlap": True, "fontSize": 11},
            "axisLine": {"lineStyle": {"color": _GRID}},
            "axisTick": {"show": False},
            "splitLine": {"show": False},
        },
        "yAxis": {
            "type": "value",
            "min": 0,
            "max": (top := _top(chart, drawn)),
            "interval": None if top is None else top / 4,
            "splitNumber": 3,
            "axisLabel": {"color": _QUIET, "fontSize": 11},
            "splitLine": {"lineStyle": {"color": _GRID}},
        },
        "series": drawn,
    }


def _series(
    side: Side, line: Line, points: Sequence[Point], colour: str, step_s: float
) -> dict[str, Any]:
    data: list[list[float | None]] = []
    for point in points:
        at_ms = 1000 * point.at.timestamp()
        if data and at_ms - (data[-1][0] or 0) > 2500 * step_s:
            data.append([at_ms - 1, None])
        data.append([at_ms, line.value(point)])
    return {
        "name": " ".join(filter(None, (side.release, line.name))),
        "type": "line",
        "showSymbol": len(data) == 1,
        "symbolSize": 4,
        "lineStyle": {"width": 2, "type": line.style},
        "itemStyle": {"color": colour},
        "data": data,
    }


def _top(chart: Chart, drawn: Sequence[Mapping[str, Any]]) -> float | None:
    if chart.top is not None:
        return chart.top
    values = [pair[1] for one in drawn for pair in one["data"] if pair[1] is not None]
    return None if values and max(values) > chart.least_top else chart.least_top
