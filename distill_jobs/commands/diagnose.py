"""`understudy job diagnose`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from distill_jobs.commands.reporting import reporting
from distill_jobs.telling import told_plainly

if TYPE_CHECKING:
    from distill_jobs.study.finding import Finding


def diagnose(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder of the run.")],
    images: Annotated[
        int,
        typer.Option(
            min=8, help="Most images of train and of val that both models are asked about."
        ),
    ] = 200,
) -> None:
    """Find out why a student is far behind its teacher.

    Looks whether the teacher is overfit (train against val), whether it has anything to teach and
    says it softly enough (temperature), whether it is heard long and loud enough (alpha), whether
    the training ended too early, whether the teacher is more than 4 times as large, and what each
    reduced precision costs. Each check shows its number and its limit; what is suspicious says what
    to try. The limits are rules of thumb.

    Both models are asked about images of train and val alone, since what this leads to is judged on
    test. The checks of precisions ask no model: they repeat what the release measured on the
    held-out images.
    """
    with told_plainly():
        from distill_jobs.environment import offline  # noqa: PLC0415  # keeps --help fast

        offline()
        from distill_jobs.run_folder import RunFolder  # noqa: PLC0415  # likewise
        from distill_jobs.study.diagnosis import diagnose as judge  # noqa: PLC0415  # heavy
        from distill_jobs.study.symptoms import measure  # noqa: PLC0415  # likewise

        folder = RunFolder.open(run_dir.absolute())
        with reporting(f"understudy job diagnose {run_dir}") as reporter:
            symptoms = measure(folder, images, reporter)
        _tell(judge(symptoms), Console())


def _tell(findings: "list[Finding]", console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("", no_wrap=True)
    table.add_column("check", ratio=5, overflow="fold")
    table.add_column("measured", ratio=5, overflow="fold")
    table.add_column("limit", ratio=3, overflow="fold")
    for one in findings:
        mark = Text("look", "yellow") if one.suspicious else Text("ok", "green")
        table.add_row(mark, Text(one.name), Text(one.measured), Text(one.limit))
    console.print(table)
    suspicious = [one for one in findings if one.suspicious]
    if not suspicious:
        console.print("Nothing suspicious.")
    for one in suspicious:
        console.print(Text.assemble((one.name, "bold"), f": {one.advice}."))
