"""What is done, what is left, and about how long that takes."""

from collections.abc import Sequence
from statistics import median

from rich.table import Table

from bench.distill.cells import Cell, Store
from bench.distill.plan import Plan

# Processor seconds of an epoch before any was measured: our machine, one thread.
_GUESSED_EPOCH_S = {
    "teacher": 75.0,
    "none": 26.0,
    "none-long": 26.0,
    "few-none": 10.0,
    "few-builtin": 14.0,
    "few-pseudo": 26.0,
}
_GUESSED_TAUGHT_EPOCH_S = 50.0
_MEASURING_S = 40.0


def listing(plan: Plan) -> Table:
    """Return a table of the cells that can be named by now."""
    table = Table("cell", "state", "figure", "about s")
    cells, left_s = plan.cells(), 0.0
    for cell in cells:
        figures = plan.store.figures(cell.key)
        if figures is None:
            seconds = _expected_s(plan.store, cells, cell)
            left_s += seconds
            begun = (plan.store.folder(cell.key) / "cell.json").exists()
            table.add_row(cell.key, "begun" if begun else "", "", f"{seconds:.0f}")
            continue
        table.add_row(cell.key, "done", _figure(figures), "")
    table.caption = f"{left_s / 3600:.1f} h of one core for what is named by now"
    return table


def _figure(figures: dict[str, object]) -> str:
    if "inner_map50_95" in figures:
        return f"inner {figures['inner_map50_95']:.4f}, epoch {figures['best_epoch']}"
    quality = figures.get("quality")
    return f"held out {quality['map50_95']:.4f}" if isinstance(quality, dict) else ""


def _expected_s(store: Store, cells: Sequence[Cell], cell: Cell) -> float:
    if cell.kind != "train":
        return _MEASURING_S
    return _epoch_s(store, cells, cell) * float(cell.inputs["arguments"]["epochs"])


def _epoch_s(store: Store, cells: Sequence[Cell], cell: Cell) -> float:
    """Return what an epoch of this arm took elsewhere, or a guess."""
    arm = _arm(cell)
    known = [
        figures["cpu_s_per_epoch"]
        for other in cells
        if other.kind == "train" and _arm(other) == arm
        for figures in [store.figures(other.key)]
        if figures is not None
    ]
    return median(known) if known else _GUESSED_EPOCH_S.get(arm, _GUESSED_TAUGHT_EPOCH_S)


def _arm(cell: Cell) -> str:
    return cell.name.rsplit("-f", 1)[0]
