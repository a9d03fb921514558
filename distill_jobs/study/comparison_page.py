"""A comparison for a browser: the runs' curves over each other."""

from collections.abc import Sequence
from pathlib import Path

from distill_jobs.study.comparison import ComparedRun, Comparison
from distill_jobs.tracking.chart import Series
from distill_jobs.tracking.page import Page, PageChart, PageSection, PageTable, chart_of, write_page

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
    sections = [PageSection("Students", note="On the held-out split of each.", tables=tables)]
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
        f"{found.split}, by the paired bootstrap over images."
    )
    return PageSection("Better, or luck?", note=note, tables=[PageTable(heads, rows)])


def _charts(runs: Sequence[ComparedRun]) -> list[PageChart]:
    columns = dict.fromkeys(
        column
        for run in runs
        if run.curves is not None
        for column, values in run.curves.columns.items()
        if column.startswith(("metrics/", "train/", "val/", "teacher_weight")) and any(values)
    )
    return [
        chart_of(column.replace("(B)", "").replace("_", " "), lines)
        for column in columns
        if (lines := _lines(runs, column))
    ]


def _lines(runs: Sequence[ComparedRun], column: str) -> list[Series]:
    """Return each run's line; a run keeps its colour from chart to chart."""
    return [
        Series(run.name, run.curves.epochs, run.curves.columns[column])
        if run.curves is not None and column in run.curves.columns
        else Series(run.name, (), ())
        for run in runs
    ]
