"""A comparison for a browser: the runs' curves over each other."""

from collections.abc import Sequence
from pathlib import Path

from distill_jobs.study.comparison import ComparedRun, Comparison
from distill_jobs.tracking.chart import Series
from distill_jobs.tracking.curves import ALPHA, MAP50_95
from distill_jobs.tracking.page import Page, PageChart, PageSection, PageTable, chart_of, write_page

# In this order; of metrics the one that counts first.
_DRAWN = (MAP50_95, "metrics/", ALPHA, "train/", "val/")
_STUDENTS = (
    "On the held-out split of each. Kept: of its teacher's mAP50-95. Best on validation: mAP50-95 "
    "and its epoch. ms: the fastest variant's median for one image."
)
_FIGURES = ("run", "parameters", "mAP50", "mAP50-95", "kept", "best on validation", "ms")


def write_comparison(found: Comparison, path: Path) -> Path:
    """Write a comparison as a page that opens from disk.

    Args:
        found: The comparison.
        path: Replaced if it exists.

    Returns:
        The path.
    """
    runs = found.runs
    tables = [PageTable(_FIGURES, [(run.name, *run.cells()) for run in runs])]
    sections = [PageSection("Students", note=_STUDENTS, tables=tables)]
    if found.differences:
        sections.append(_paired(found))
    if found.settings:
        heads = ("key", *(run.name for run in runs))
        rows = [(key, *values) for key, values in found.settings.items()]
        sections.append(PageSection("What their jobs differ in", tables=[PageTable(heads, rows)]))
    charts = _charts(runs)
    if charts:
        sections.append(PageSection("Curves of the students", charts=charts))
    title = f"{len(runs)} runs compared"
    write_page(Page(title, ", ".join(run.name for run in runs), sections=sections), path)
    return path


def _paired(found: Comparison) -> PageSection:
    heads = ("run", "mAP50-95", "gain, points", "95% bounds", "ahead in", "says")
    rows = [
        (
            one.run,
            f"{one.map50_95:.4f}",
            f"{100 * one.gain:+.2f}",
            f"{100 * one.low:+.2f} to {100 * one.high:+.2f}",
            f"{100 * one.better:.0f}%",
            one.verdict,
        )
        for one in found.differences
    ]
    note = (
        f"Gain in mAP50-95 over {found.runs[0].name} on {found.differences[0].images} images of "
        f"{found.split}, by the paired bootstrap over images: drawn again and again, the same for "
        "all. Bounds on both sides of zero cannot tell the two apart."
    )
    return PageSection("Better, or luck?", note=note, tables=[PageTable(heads, rows)])


def _charts(runs: Sequence[ComparedRun]) -> list[PageChart]:
    """Draw quality first, then alpha, then losses."""
    columns = dict.fromkeys(
        column
        for run in runs
        if run.curves is not None
        for column, values in run.curves.columns.items()
        if column.startswith(_DRAWN) and any(values)
    )
    ordered = sorted(
        columns, key=lambda column: next(k for k, one in enumerate(_DRAWN) if one in column)
    )
    return [
        chart_of(_title(column), lines) for column in ordered if (lines := _lines(runs, column))
    ]


def _title(column: str) -> str:
    if column == ALPHA:
        return "alpha, the teacher's weight"
    kind, _, name = column.partition("/")
    name = name.removesuffix("(B)").replace("_", " ")
    return f"{name} on validation" if kind == "metrics" else f"{kind}/{name}"


def _lines(runs: Sequence[ComparedRun], column: str) -> list[Series]:
    """Return each run's line; a run keeps its colour from chart to chart."""
    return [
        Series(run.name, run.curves.epochs, run.curves.columns[column])
        if run.curves is not None and column in run.curves.columns
        else Series(run.name, (), ())
        for run in runs
    ]
