"""Line charts as inline SVG: no script, no font, no network; colours come from the page's CSS."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT = 420, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 12, 28


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes:
        name: In the legend and the tooltips.
        xs: Rising.
        ys: One each; NaN interrupts the line.
    """

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True)
class _Frame:
    """Maps values to the drawing's coordinates."""

    x_ticks: list[float]
    y_ticks: list[float]

    def x(self, value: float) -> float:
        low, high = self.x_ticks[0], self.x_ticks[-1]
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)


def line_chart(title: str, series: Sequence[Series], *, x_label: str = "epoch") -> str:
    """Draw lines over a shared axis.

    Line k has the class `s{k}`; the page gives it a colour. Each point says its value when the
    pointer rests on it.

    Args:
        title: Read aloud by a screen reader; the page writes its own heading.
        series: At least one.
        x_label: Under the axis.

    Returns:
        An `<svg>` element; where no value is finite, a sentence that says so.
    """
    points = [
        (x, y)
        for one in series
        for x, y in zip(one.xs, one.ys, strict=True)
        if math.isfinite(x) and math.isfinite(y)
    ]
    if not points:
        return '<p class="none">No finite value was noted.</p>'
    frame = _Frame(
        nice_ticks(min(x for x, _ in points), max(x for x, _ in points), whole=True),
        nice_ticks(min(y for _, y in points), max(y for _, y in points)),
    )
    lines = "".join(_line(frame, place, one) for place, one in enumerate(series))
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{html.escape(title)}">{_axes(frame, x_label)}{lines}</svg>'
    )


def nice_ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Return three to seven round numbers that enclose a range.

    Steps are 1, 2 or 5 times a power of ten.

    Args:
        low: Smallest value.
        high: Largest; equal values get room on both sides.
        whole: Steps are whole numbers, as epochs are.
    """
    if high - low < 1e-12 * max(1.0, abs(high)):
        room = 1.0 if whole else max(abs(high) * 0.1, 1e-6)
        low, high = low - room, high + room
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    step = max(step, 1.0) if whole else step
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [place * step for place in range(first, max(last, first + 1) + 1)]


def _axes(frame: _Frame, x_label: str) -> str:
    parts = []
    for tick in frame.y_ticks:
        y = frame.y(tick)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:.4g}</text>'
        )
    bottom = _HEIGHT - _BOTTOM
    for tick in frame.x_ticks:
        x = frame.x(tick)
        parts.append(
            f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
            f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{tick:.4g}</text>'
        )
    parts.append(
        f'<text class="axis" x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 1}" text-anchor="end">'
        f"{html.escape(x_label)}</text>"
    )
    return "".join(parts)


def _line(frame: _Frame, place: int, series: Series) -> str:
    drawn = []
    for run in _unbroken(series):
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in run)
        drawn.append(f'<polyline class="line s{place}" points="{path}"/>')
        drawn.extend(
            f'<circle class="dot s{place}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="2.2">'
            f"<title>{html.escape(series.name)}, {x:g}: {y:.4g}</title></circle>"
            for x, y in run
        )
    return "".join(drawn)


def _unbroken(series: Series) -> list[list[tuple[float, float]]]:
    """Split a line where a value is missing."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(series.xs, series.ys, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            runs[-1].append((x, y))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]
