"""`understudy job list`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from distill_jobs.telling import told_plainly

if TYPE_CHECKING:
    from distill_jobs.study.run_list import RunLine


def list_runs(
    folder: Annotated[Path, typer.Argument(help="Searched for runs, four folders deep.")] = Path(
        "runs"
    ),
    trials: Annotated[
        bool, typer.Option("--trials", help="List the trials of sweeps too.")
    ] = False,
) -> None:
    """List runs, the newest first: how far each is, and its figures.

    The columns are the mAP50-95 of teacher and student on the held-out split, and how much of the
    teacher's the student keeps. A run that [bold]failed[/bold] was refused, or could not go on:
    its report.html says why. One that is [bold]stopped[/bold] was killed. Both go on with
    [bold]understudy job resume[/bold], a sweep and its trials with [bold]understudy job
    sweep[/bold]. At one that is [bold]running[/bold] a process is at work.

    [bold]Example[/]

      understudy job list runs
    """
    with told_plainly():
        from distill_jobs.study.run_list import list_runs as find  # noqa: PLC0415  # keeps --help fast

        lines = find(folder, trials=trials)
        if not lines:
            Console().print(f"No runs under {folder}. Begin one: understudy job run JOB.YAML")
            return
        Console().print(_table(lines, folder))


def _table(lines: "list[RunLine]", folder: Path) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("run", overflow="fold", ratio=1)
    table.add_column("begun, UTC", no_wrap=True)
    table.add_column("state", overflow="fold", max_width=26)
    for head in ("teacher", "student", "kept"):
        table.add_column(head, justify="right", no_wrap=True)
    for line in lines:
        name = line.path.relative_to(folder) if line.path != folder else line.path
        table.add_row(
            str(name),
            line.began[5:16].replace("T", " "),
            line.state,
            _share(line.teacher.map50_95 if line.teacher else None),
            _share(line.student.map50_95 if line.student else None),
            f"{100 * line.kept:.1f}%" if line.kept is not None else "-",
        )
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
