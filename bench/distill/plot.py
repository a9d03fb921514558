"""The results as a picture."""

from pathlib import Path
from textwrap import fill

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.distill.cells import Figures
from bench.distill.tables import NAMES

_LABEL_LETTERS = 34
_COLOURS = {"ours": "#0b6e4f", "teacher": "#555555"}


def draw(report: Figures, picture: Path) -> None:
    """Draw each arm's mAP50-95 and the paired differences, with their intervals.

    Args:
        report: The results.
        picture: SVG; the same results give the same file.
    """
    rows = max(len(report["arms"]), len(report["differences"]))
    figure = Figure(figsize=(11, 1 + 0.4 * rows), layout="constrained")
    left, right = figure.subplots(1, 2)
    arms = {arm: figures["map50_95"] for arm, figures in report["arms"].items()}
    _dots(left, {NAMES[arm]: (_colour(arm), one) for arm, one in arms.items()})
    left.set_xlabel("mAP50-95, points")
    pairs = {pair: figures["map50_95"] for pair, figures in report["differences"].items()}
    labels = {pair: " over ".join(NAMES[arm] for arm in pair.split(" - ")) for pair in pairs}
    _dots(right, {labels[pair]: (_colour(pair), one) for pair, one in pairs.items()})
    right.axvline(0, color="#999999", linewidth=0.8)
    right.set_xlabel("difference, points (paired)")
    picture.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "understudy"}):
        figure.savefig(picture, metadata={"Date": None})


def _dots(axes: Axes, rows: dict[str, tuple[str, Figures]]) -> None:
    for place, (colour, figure) in enumerate(rows.values()):
        axes.plot([figure["low"], figure["high"]], [place, place], color=colour, linewidth=1.5)
        axes.plot([figure["value"]], [place], "o", color=colour)
    axes.set_yticks(
        range(len(rows)), [fill(label.replace("`", ""), _LABEL_LETTERS) for label in rows]
    )
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)


def _colour(name: str) -> str:
    return _COLOURS.get(name.partition(" - ")[0].partition("-")[0], "#2b6cb0")
