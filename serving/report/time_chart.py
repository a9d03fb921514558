"""Lines over time as inline SVG: no script, no font, no network; colours come from the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import pairwise

from serving.report.period import Period

_WIDTH, _HEIGHT = 560, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 10, 24
_HOUR = 3600
_TICKS_S = (
    *(60, 300, 600, 1800, _HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR),
    *(24 * _HOUR, 48 * _HOUR, 7 * 24 * _HOUR),
)
_MOST_TICKS = 8


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        name: For a reader that hears it.
        style: Which of the page's, from 0: a colour, and a pattern for paper.
        points: A value for each step that has one, in order.
        stepped: A value holds until the next one.
    """

    name: str
    style: int
    points: Sequence[tuple[datetime, float]]
    stepped: bool = False


@dataclass(frozen=True)
class Mark:
    """Something that happened.

    Attributes:
        at: UTC.
        kind: "change", "rollback" or "deploy": of the page's styles.
        text: What.
    """

    at: datetime
    kind: str
    text: str


@dataclass(frozen=True)
class Scale:
    """How values are drawn.

    Attributes:
        unit: After the numbers of the axis.
        top: Where the axis ends; None: where the values do.
        least_top: It goes at least up to here, so that noise does not look like a hill.
    """

    unit: str = ""
    top: float | None = None
    least_top: float = 1.0


@dataclass(frozen=True)
class _Frame:
    """Maps values to the drawing."""

    period: Period
    ticks: Sequence[float]

    def x(self, at: datetime) -> float:
        share = (at - self.period.since).total_seconds() / self.period.seconds
        return _LEFT + min(max(share, 0.0), 1.0) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = min(value / self.ticks[-1], 1.0)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def time_chart(
    title: str, period: Period, lines: Sequence[Line], marks: Sequence[Mark], scale: Scale
) -> str:
    """Draw lines, interrupted where steps are missing.

    Args:
        title: Read aloud; the page writes its own heading.
        period: The axis.
        lines: At least one, of values from 0 up.
        marks: Drawn behind them.
        scale: Of the values.

    Returns:
        An `<svg>` element; where no line has a point, a sentence that says so.
    """
    values = [value for line in lines for _, value in line.points]
    if not values:
        return '<p class="none">Nothing was measured in this period.</p>'
    frame = _Frame(period, value_ticks(scale.top or max(*values, scale.least_top)))
    drawn = [_axes(frame, scale.unit), *(_mark(frame, one) for one in marks)]
    drawn += [_line(frame, one) for one in lines]
    said = "; ".join(dict.fromkeys(line.name for line in lines if line.points))
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}: {escape(said)}">{"".join(drawn)}</svg>'
    )


def value_ticks(top: float) -> list[float]:
    """Return three to six round numbers from 0 to `top` or a little above.

    Steps are 1, 2 or 5 times a power of ten.
    """
    rough = top / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    return [place * step for place in range(math.ceil(top / step - 1e-9) + 1)]


def time_ticks(period: Period) -> list[datetime]:
    """Return at most eight round moments of a period, in UTC."""
    step_s = next((one for one in _TICKS_S if period.seconds / one <= _MOST_TICKS), _TICKS_S[-1])
    first = math.ceil(period.since.timestamp() / step_s)
    last = math.floor(period.until.timestamp() / step_s)
    return [datetime.fromtimestamp(place * step_s, UTC) for place in range(first, last + 1)]


def _axes(frame: _Frame, unit: str) -> str:
    parts = []
    for tick in frame.ticks:
        y = frame.y(tick)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{tick:g}{escape(unit)}</text>'
        )
    bottom = _HEIGHT - _BOTTOM
    for at in time_ticks(frame.period):
        x = frame.x(at)
        anchor = "start" if x < _LEFT + 16 else "end" if x > _WIDTH - _RIGHT - 16 else "middle"
        parts.append(
            f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
            f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="{anchor}">{_clock(at)}</text>'
        )
    return "".join(parts)


def _clock(at: datetime) -> str:
    return f"{at:%H:%M}" if at.hour or at.minute else f"{at.day} {at:%b}"


def _mark(frame: _Frame, mark: Mark) -> str:
    x = frame.x(mark.at)
    said = f"{mark.at:%Y-%m-%d %H:%M} {escape(mark.text)}"
    return (
        f'<line class="mark {mark.kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" '
        f'y2="{_HEIGHT - _BOTTOM}"><title>{said}</title></line>'
    )


def _line(frame: _Frame, line: Line) -> str:
    runs = [list(line.points)] if line.stepped else _unbroken(line.points, frame.period.step_s)
    drawn = []
    for run in runs:
        if len(run) == 1:
            ((at, value),) = run
            drawn.append(
                f'<circle class="dot s{line.style}" cx="{frame.x(at):.1f}" '
                f'cy="{frame.y(value):.1f}" r="2"/>'
            )
            continue
        corners = _corners(run) if line.stepped else run
        path = " ".join(f"{frame.x(at):.1f},{frame.y(value):.1f}" for at, value in corners)
        drawn.append(f'<polyline class="line s{line.style}" points="{path}"/>')
    return "".join(drawn)


def _corners(run: Sequence[tuple[datetime, float]]) -> list[tuple[datetime, float]]:
    """Have each value hold until the next one's moment."""
    corners = [run[0]]
    for (_, before), (at, value) in pairwise(run):
        corners += [(at, before), (at, value)]
    return corners


def _unbroken(
    points: Sequence[tuple[datetime, float]], step_s: float
) -> list[list[tuple[datetime, float]]]:
    """Split a line where a step is missing."""
    runs: list[list[tuple[datetime, float]]] = []
    for at, value in points:
        if runs and (at - runs[-1][-1][0]).total_seconds() <= 1.5 * step_s:
            runs[-1].append((at, value))
        else:
            runs.append([(at, value)])
    return runs
