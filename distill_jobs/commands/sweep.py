"""`understudy job sweep`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from distill_jobs.commands.reporting import reporting
from distill_jobs.telling import told_plainly

if TYPE_CHECKING:
    from distill_jobs.sweeping.ledger import SweepFigures

_SHOWN = 10


def sweep(
    job_file: Annotated[
        Path, typer.Argument(metavar="JOB.YAML", help="A job file with a `sweep:` section.")
    ],
    trials: Annotated[
        int, typer.Option(min=1, max=1000, help="In all, those of earlier calls included.")
    ] = 20,
    sweep_dir: Annotated[
        Path | None, typer.Option(help="The sweep's folder. Default: runs/NAME-sweep.")
    ] = None,
) -> None:
    """Try settings of the student's training, judged on validation alone.

    The job file says what to try:

      sweep:
        metric: map50_95
        space:
          distillation.losses.box: {low: 0.5, high: 8, log: true}
          distillation.schedule.warmup_epochs: {low: 0, high: 3}
          training.optimizer: {choices: [SGD, AdamW]}

    Data and teacher are made once. Each trial trains a student; trials that fall behind the median
    are stopped early. No trial sees the test split: measure the winner with
    [bold]understudy job run SWEEP_DIR/best.yaml[/bold]. Report how many trials chose it: the best
    of many looks better on validation than it is.

    A sweep that was stopped goes on with the same command; a higher [bold]--trials[/bold] adds
    some.
    """
    with told_plainly():
        from distill_jobs.environment import offline  # noqa: PLC0415  # keeps --help fast

        offline()
        import distill_jobs.run as runner  # noqa: PLC0415  # heavy
        from distill_jobs.job import Job  # noqa: PLC0415  # likewise
        from distill_jobs.sweeping.sweep import open_sweep, run_sweep  # noqa: PLC0415  # likewise

        folder = sweep_dir or Path("runs") / f"{Job.load(job_file).name}-sweep"
        plan = open_sweep(job_file, folder.absolute(), trials)
        again = f"understudy job sweep {job_file} --trials {trials} --sweep-dir {folder}"
        with reporting(again) as reporter:
            figures = run_sweep(plan, runner, reporter)
        _tell(figures, folder, Console())


def _tell(figures: "SweepFigures", folder: Path, console: Console) -> None:
    from distill_jobs.sweeping.ledger import told  # noqa: PLC0415  # keeps --help fast

    keys = list(dict.fromkeys(key for one in figures.trials for key in one.values))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for head in ("trial", figures.metric, "epoch"):
        table.add_column(head, justify="right", no_wrap=True)
    for key in keys:
        table.add_column(key.rpartition(".")[2], justify="right", overflow="fold")
    for one in figures.ranked()[:_SHOWN]:
        values = [told(one.values[key]) if key in one.values else "-" for key in keys]
        table.add_row(str(one.number), f"{one.value:.4f}", str(one.epoch), *values)
    console.print(table)
    states = [one.state for one in figures.trials]
    console.print(
        f"{figures.counted} trials on validation: {states.count('complete')} complete, "
        f"{states.count('stopped early')} stopped early; {figures.failed} failed beside "
        "them.",
        highlight=False,
    )
    if figures.ranked():
        console.print(
            f"Measure the winner: understudy job run {folder}/best.yaml",
            highlight=False,
            soft_wrap=True,
        )
