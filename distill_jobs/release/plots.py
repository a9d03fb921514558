"""A release's plots: how far scores can be believed, and AP class by class."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from distill_jobs import files
from distill_jobs.release.bootstrap import Bounded
from distill_jobs.release.calibration import BINS, Calibration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TEACHER, _STUDENT, _MUTED = "#e08a1e", "#1f77dc", "#555555"
_DPI = 150


@dataclass(frozen=True)
class Bar:
    """One group of bars.

    Attributes:
        name: Under it.
        student: Its AP and bounds.
        teacher: Likewise; None without a teacher.
    """

    name: str
    student: Bounded
    teacher: Bounded | None


def plot_reliability(
    student: Calibration, teacher: Calibration | None, path: Path, *, names: tuple[str, str]
) -> None:
    """Draw precision over score, and how many detections stand behind each point.

    A perfectly calibrated detector lies on the diagonal; below it, it is too sure of itself.

    Args:
        student: The release's.
        teacher: Its teacher's; None without one.
        path: PNG, replaced if it exists.
        names: Of the release and of its teacher.
    """
    figure, (upper, lower) = _figure(
        (5.2, 6.0), rows=2, height_ratios=(3, 1), title="Reliability of the scores"
    )
    upper.plot([0, 1], [0, 1], color=_MUTED, linewidth=0.8, linestyle="--")
    lines = [(teacher, _TEACHER, names[1])] if teacher else []
    for found, colour, name in [*lines, (student, _STUDENT, names[0])]:
        if found is None or not found.bins:
            continue
        upper.plot(
            [one.score for one in found.bins],
            [one.precision for one in found.bins],
            color=colour,
            marker="o",
            markersize=4,
            label=f"{name}, D-ECE {found.error:.3f}",
        )
        lower.stairs(_counts(found), np.linspace(0, 1, BINS + 1), color=colour, linewidth=1.5)
    upper.set_ylabel("share that is right (IoU 0.5)")
    upper.set_ylim(-0.02, 1.02)
    upper.set_xlim(0, 1)
    if upper.get_legend_handles_labels()[0]:
        upper.legend(loc="upper left", frameon=False, fontsize=9)
    lower.set_yscale("symlog", linthresh=1)
    lower.set_ylim(bottom=0)
    lower.set_xlim(0, 1)
    lower.set_xlabel("score")
    lower.set_ylabel("detections")
    _write(figure, path)


def plot_bars(bars: Sequence[Bar], path: Path, *, title: str, names: tuple[str, str]) -> None:
    """Draw AP50-95 by class or by size, with bounds.

    Args:
        bars: The groups, at least one.
        path: PNG, replaced if it exists.
        title: Above it.
        names: Of the release and of its teacher.
    """
    figure, (axes,) = _figure((max(4.0, 1.0 + 0.9 * len(bars)), 3.6), rows=1, title=title)
    places = np.arange(len(bars))
    with_teacher = [one.teacher for one in bars if one.teacher is not None]
    width = 0.38 if len(with_teacher) == len(bars) else 0.6
    offset = width / 2 if width < 0.5 else 0.0
    if offset:
        _draw_bars(axes, places - offset, with_teacher, width=width, colour=_TEACHER, name=names[1])
    own = [one.student for one in bars]
    _draw_bars(axes, places + offset, own, width=width, colour=_STUDENT, name=names[0])
    axes.set_xticks(places, [one.name for one in bars])
    if len(bars) > 8:
        axes.tick_params(axis="x", rotation=60)
    axes.set_ylabel("AP50-95")
    axes.set_ylim(0, 1)
    axes.legend(frameon=False, fontsize=9, ncols=2, loc="upper center")
    _write(figure, path)


def _draw_bars(
    axes: "Axes",
    places: npt.NDArray[np.floating[Any]],
    figures: Sequence[Bounded],
    *,
    width: float,
    colour: str,
    name: str,
) -> None:
    values = np.array([one.value for one in figures])
    reach = np.array([[one.value - one.low, one.high - one.value] for one in figures]).T
    axes.bar(places, values, width, color=colour, label=name)
    known = ~np.isnan(reach).any(axis=0)  # a whisker of no length would look sure
    axes.errorbar(
        places[known],
        values[known],
        yerr=np.clip(reach[:, known], 0, None),
        fmt="none",
        ecolor=_MUTED,
        elinewidth=1,
        capsize=2,
    )


def _counts(found: Calibration) -> list[int]:
    by_bin = {round(one.low * BINS): one.detections for one in found.bins}
    return [by_bin.get(place, 0) for place in range(BINS)]


def _figure(
    size_in: tuple[float, float],
    *,
    rows: int,
    title: str,
    height_ratios: Sequence[float] | None = None,
) -> "tuple[Figure, Sequence[Axes]]":
    # The object-oriented interface: pyplot keeps figures, and looks for a screen.
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import, and only reports need it

    figure = Figure(figsize=size_in, layout="constrained")
    axes = figure.subplots(
        rows, 1, squeeze=False, sharex=rows > 1, gridspec_kw={"height_ratios": height_ratios}
    )[:, 0]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(axis="y", color="#e5e5e5", linewidth=0.6)
        one.set_axisbelow(True)
    axes[0].set_title(title, loc="left", fontsize=11)
    return figure, list(axes)


def _write(figure: "Figure", path: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    files.write_atomically(path, buffer.getvalue())
