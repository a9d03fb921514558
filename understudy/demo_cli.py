"""The command `understudy demo`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def demo(
    output: Annotated[
        Path, typer.Option(help="Gets the run, pictures and the report; replaces a demo before.")
    ] = Path("runs/demo"),
    model_store: Annotated[Path, typer.Option(help="Gets the two archives.")] = Path("model_store"),
    job: Annotated[
        Path | None,
        typer.Option(help="Another job than the demo's own; it needs a student and an archive."),
    ] = None,
    frames: Annotated[
        int, typer.Option(help="Frames in each of the four parts under load.", min=50)
    ] = 400,
) -> None:
    """Show the whole way: distil a student, archive it, serve it, swap it in under load.

    Draws a data set, distils a student from the teacher that ships, checks and signs both as
    archives, starts TorchServe and the gateway, replays 16 cameras over gRPC and HTTP, and moves
    all of them from the teacher to the student, back, and over again while they send.

    Takes at most eight minutes on two cores. Ends with a table, pictures and report.json; the exit
    status is 1 when a frame failed or hung.
    """
    from distill_jobs.environment import offline
    from distill_jobs.errors import JobError
    from distill_jobs.progress import RichReporter

    offline()
    from serving.admin_client import AdminError
    from understudy.demo.performance import Load
    from understudy.demo.stack import StackFailed
    from understudy.demo.story import DEMO_JOB, Stage, play, tell

    console = Console()
    stage = Stage(
        job_file=job or DEMO_JOB,
        folder=output.absolute(),
        model_store=model_store.absolute(),
        load=Load(frames_per_act=frames),
    )
    try:
        with RichReporter(console) as reporter:
            report = play(stage, reporter)
    except (AdminError, JobError, StackFailed, TimeoutError) as error:
        console.print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    tell(report, stage, console)
    if report.failed or report.hung or report.strays:
        raise typer.Exit(1)
