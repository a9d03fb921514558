"""The live page's charts as ECharts' options: a line for each arm, a gap where nothing was seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.console.traffic import Point, Side, Sums

COLOURS = ("#4c6ef5", "#0ca678", "#e8590c", "#ae3ec9", "#1098ad", "#d6336c", "#74b816", "#868e96")
"""An arm's, by its place in the route; each stands out from white and from the dark page."""

# Readable on both.
_QUIET = "#868e96"
_GRID = "rgba(134, 142, 150, 0.22)"

Values = Callable[[Sums], float | None]


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
        title: With its unit.
        lines: For each side.
        least_top: The axis goes at least up to here, so that noise does not look like a hill.
        top: The axis ends here; None: where the values do.
        digits: Of the numbers in the tooltip.
    """

    title: str
    lines: tuple[Line, ...]
    least_top: float
    top: float | None = None


def _milliseconds(share: float) -> Values:
    def value(sums: Sums) -> float | None:
        seconds = sums.quantile_s(share)
        return None if seconds is None else round(1000 * seconds, 1)

    return value


def _percent(of: Callable[[Sums], float | None]) -> Values:
    def value(sums: Sums) -> float | None:
        share = of(sums)
        return None if share is None else round(100 * share, 2)

    return value


def charts(step_s: float) -> tuple[Chart, ...]:
    """Return the live page's charts.

    Args:
        step_s: Length of a step.
    """
    return (
        Chart(
            "Frames a second",
            (Line("", lambda sums: round(sums.frames / step_s, 2) if sums.frames else None),),
            least_top=1,
        ),
        Chart(
            "Latency, ms: p50, and p99 dashed",
            (Line("p50", _milliseconds(0.5)), Line("p99", _milliseconds(0.99), "dashed")),
            least_top=10,
        ),
        Chart("Errors, % of the frames", (Line("", _percent(lambda one: one.error_rate)),), 1),
        Chart(
            "Agreement in the shadow, %",
            (Line("", _percent(lambda one: one.agreement)),),
            least_top=100,
            top=100,
        ),
    )


def options(
    chart: Chart,
    series: Mapping[Side, Sequence[Point]],
    colours: Mapping[Side, str],
    *,
    start_ms: float,
    end_ms: float,
    step_s: float,
) -> dict[str, Any]:
    """Return a chart's options.

    Args:
        chart: What it shows.
        series: Each side's course.
        colours: Each side's.
        start_ms: Left end of the axis, Unix milliseconds.
        end_ms: Right end.
        step_s: Length of a step: where more than two are missing, the line has a gap.
    """
    drawn = [
        _series(side, line, points, colours.get(side, _QUIET), step_s)
        for side, points in series.items()
        for line in chart.lines
        if any(line.value(point.sums) is not None for point in points)
    ]
    return {
        "animation": False,
        "grid": {"left": 8, "right": 22, "top": 12, "bottom": 4, "containLabel": True},
        "tooltip": {
            "trigger": "axis",
            "axisPointer": {"type": "line", "lineStyle": {"color": _QUIET}},
            "confine": True,
        },
        "xAxis": {
            "type": "time",
            "min": start_ms,
            "max": end_ms,
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
        data.append([at_ms, line.value(point.sums)])
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
