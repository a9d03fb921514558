"""`understudy job compare`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from distill_jobs.commands.again import given_again
from distill_jobs.commands.reporting import reporting
from distill_jobs.telling import told_plainly

if TYPE_CHECKING:
    from distill_jobs.study.comparison import Comparison


class Measured(StrEnum):
    """Which images runs are compared on."""

    VAL = "val"
    TEST = "test"


def compare(
    context: typer.Context,
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN_DIR", help="Two or more; the first is compared to."),
    ],
    split: Annotated[
        Measured,
        typer.Option(
            help="Images that students are compared on. To choose among runs take val: "
            "who chooses on test has no test left."
        ),
    ] = Measured.VAL,
    paired: Annotated[
        bool, typer.Option(help="Compare image by image; asks each student about the split once.")
    ] = True,
    html: Annotated[
        Path | None,
        typer.Option(help="Page with the curves. Default: compare.html in the first run."),
    ] = None,
) -> None:
    """Compare runs: figures, what their jobs differ in, curves, and whether it was luck.

    First the figures of each student: on the held-out split, the share of its teacher's mAP50-95
    that it keeps, the best mAP50-95 on validation and its epoch, and the median time of the fastest
    variant for one image.

    The paired comparison draws the images of the split again and again, the same for every student
    (1,000 times), and gives the gain in mAP50-95 over the first run between its 95% bounds. Bounds
    on both sides of zero mean that these images cannot tell the two apart. "Ahead in" is the share
    of the draws in which the run is the better one.

    [bold]Example[/]

      understudy job compare runs/plain runs/distilled --split test
    """
    with told_plainly():
        from distill_jobs.environment import offline  # noqa: PLC0415  # keeps --help fast

        offline()
        from distill_jobs.study.comparison import compare_runs  # noqa: PLC0415  # heavy
        from distill_jobs.study.comparison_page import write_comparison  # noqa: PLC0415  # likewise

        with reporting(given_again(context)) as reporter:
            found = compare_runs(
                [run.absolute() for run in runs],
                split=split.value if paired else None,
                reporter=reporter,
            )
        page = write_comparison(found, html or found.runs[0].folder.path / "compare.html")
        console = Console()
        for table in _tables(found):
            console.print(table)
        console.print(f"Curves: {page}", highlight=False, soft_wrap=True)


def _tables(found: "Comparison") -> list[Table]:
    tables = [_figures(found)]
    if found.settings:
        tables.append(_settings(found))
    if found.differences:
        tables.append(_differences(found))
    return tables


def _figures(found: "Comparison") -> Table:
    heads = ("run", "params", "mAP50", "mAP50-95", "kept", "best val", "ms")
    table = _table(*heads, title="Students on the held-out split")
    for run in found.runs:
        table.add_row(run.name, *run.cells())
    return table


def _settings(found: "Comparison") -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="What their jobs differ in")
    table.add_column("key", overflow="fold")
    for run in found.runs:
        table.add_column(run.name, overflow="fold")
    for key, values in found.settings.items():
        table.add_row(key, *values)
    return table


def _differences(found: "Comparison") -> Table:
    first = found.runs[0].name
    images = found.differences[0].images
    title = f"Gain in mAP50-95 over {first}, paired, {images} images of {found.split}"
    table = _table("run", "mAP50-95", "gain", "95% bounds", "ahead in", "says", title=title)
    for one in found.differences:
        table.add_row(
            one.run,
            f"{one.map50_95:.4f}",
            f"{100 * one.gain:+.2f} points",
            f"{100 * one.low:+.2f} to {100 * one.high:+.2f}",
            f"{100 * one.better:.0f}%",
            one.verdict,
        )
    return table


def _table(*heads: str, title: str) -> Table:
    table = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False, title=title)
    table.columns[0].overflow = "fold"
    for column in table.columns[1:]:
        column.justify = "right"
    return table
