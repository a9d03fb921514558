"""Throughput and latency against connections, as PNG."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.distill.cells import Figures

_COLOURS = {
    "ours": "#0b6e4f",
    "torchserve": "#c05621",
    "litserve": "#6b46c1",
    "bentoml": "#2b6cb0",
    "ray": "#97266d",
    "triton": "#718096",
}


def draw(report: Figures, folder: Path) -> list[Path]:
    """Draw line 4's curves; returns the files, none where they were not measured.

    Args:
        report: The results.
        folder: Gets serving-throughput.png and serving-latency.png.
    """
    found = (report["growth"] or {}).get("connections")
    if found is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _chart(found, folder / "serving-throughput.png", "requests_per_s", "requests/s"),
        _chart(found, folder / "serving-latency.png", "p99_ms", "p99, ms"),
    ]


def _chart(found: Figures, file: Path, figure: str, label: str) -> Path:
    drawn = Figure(figsize=(8, 4.5), layout="constrained")
    axes = drawn.subplots()
    for name, loads in found["contestants"].items():
        _curve(
            axes, name, {int(load.partition(" ")[0]): one for load, one in loads.items()}, figure
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(_connections(found), [str(one) for one in _connections(found)])
    if figure == "p99_ms":
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel("connections")
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")
    drawn.savefig(file, dpi=120, metadata={"Software": None})
    return file


def _curve(axes: Axes, name: str, loads: dict[int, Figures], figure: str) -> None:
    places = sorted(place for place, one in loads.items() if one[figure] is not None)
    server, path = name.split()[:2]
    axes.plot(
        places,
        [loads[place][figure] for place in places],
        marker="o",
        linestyle="-" if path == "best" else "--",
        color=_COLOURS[server],
        label=name,
    )


def _connections(found: Figures) -> list[int]:
    loads = next(iter(found["contestants"].values()))
    return sorted(int(load.partition(" ")[0]) for load in loads)
