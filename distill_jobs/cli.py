"""`understudy job`: run a job file, go on with a run, look at one."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from distill_jobs.commands.compare import compare
from distill_jobs.commands.diagnose import diagnose
from distill_jobs.commands.list_runs import list_runs
from distill_jobs.commands.redistil import redistil
from distill_jobs.commands.report import report
from distill_jobs.commands.sweep import sweep
from distill_jobs.data.command import check_data
from distill_jobs.telling import told_plainly

if TYPE_CHECKING:
    from distill_jobs.progress import Reporter

job_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="""Train teachers and distil students.

    A job file names data, teacher, student, losses and gate; see
    [bold]distill_jobs/jobs/bccd.yaml[/bold] (real weights and images) and
    [bold]distill_jobs/demo/job.yaml[/bold] (drawn scenes).""",
)

job_app.command()(check_data)

_RunDir = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder of the run.")]


@job_app.command()
def run(
    job_file: Annotated[Path, typer.Argument(metavar="JOB.YAML", help="The job file.")],
    run_dir: Annotated[
        Path | None, typer.Option(help="New folder for the run. Default: runs/NAME of the job.")
    ] = None,
    model_store: Annotated[
        Path | None, typer.Option(help="Gets the archives. Default: model_store/ here.")
    ] = None,
    signing_key: Annotated[
        Path | None,
        typer.Option(
            help="Private key (PEM, EC P-256), made if missing. "
            "Default: signing-key.pem in UNDERSTUDY_HOME, else in ~/.understudy."
        ),
    ] = None,
) -> None:
    """Run a job: data, teacher, student, gate, signed archives.

    Sections of a job file: name, version, task, seed, image_size, data (path of a data.yaml, or
    scenes to draw), teacher (weights or architecture; train), student (weights or architecture with
    depth, width, max_channels), training (epochs, batch, optimizer, lr0...), distillation (losses,
    schedule), exports, gate, licences, archive. Relative paths start at the job file;
    [bold]${UNDERSTUDY_DATA}[/bold] and other variables are filled in.

    Nothing is downloaded and the data set is not written to. A run that was killed or failed goes
    on with [bold]understudy job resume RUN_DIR[/bold]. Several GPUs, or machines with a shared
    folder: [bold]torchrun --nproc-per-node 2 --no-python understudy job run JOB.YAML[/bold].
    """
    with told_plainly():
        from distill_jobs.job import Job  # noqa: PLC0415  # only this command needs it
        from distill_jobs.run import follow, run_job  # noqa: PLC0415  # likewise

        if follow():
            return
        folder = run_dir or Path("runs") / Job.load(job_file).name
        with _reporter(folder) as reporter:
            run_job(
                job_file,
                folder,
                reporter=reporter,
                model_store=model_store,
                signing_key=signing_key,
            )
        _show(folder)


@job_app.command()
def resume(run_dir: _RunDir) -> None:
    """Go on with a run that was killed or failed.

    Finished steps are not done again; a training goes on from its last finished epoch, exactly as
    if it had never been stopped. The data must be what the run's data.lock says: anything else is
    refused, with the first file that differs.
    """
    with told_plainly():
        from distill_jobs.run import follow  # noqa: PLC0415  # only this command needs it
        from distill_jobs.run import resume as go_on  # noqa: PLC0415  # likewise

        if follow():
            return
        with _reporter(run_dir) as reporter:
            go_on(run_dir, reporter=reporter)
        _show(run_dir)


@job_app.command()
def show(run_dir: _RunDir) -> None:
    """Show a run: which steps are done, and the figures of teacher and student.

    mAP is measured on the held-out split (test, or val where there is none) with the checkpoint in
    PyTorch, and again with each exported variant.
    """
    with told_plainly():
        _show(run_dir)


job_app.command("list")(list_runs)
job_app.command()(report)
job_app.command()(compare)
job_app.command()(diagnose)
job_app.command()(sweep)
job_app.command()(redistil)


def _show(run_dir: Path) -> None:
    from distill_jobs.run_folder import RunFolder  # noqa: PLC0415  # keeps --help fast
    from distill_jobs.run_table import print_run  # noqa: PLC0415  # likewise

    print_run(Console(), RunFolder.open(run_dir.absolute()))


@contextlib.contextmanager
def _reporter(run_dir: Path) -> "Iterator[Reporter]":
    from distill_jobs.log_lines import job_reporter  # noqa: PLC0415  # keeps --help fast

    try:
        with job_reporter() as reporter:
            yield reporter
    except KeyboardInterrupt:
        Console(stderr=True).print(f"Stopped. Go on with: understudy job resume {run_dir}")
        raise typer.Exit(130) from None
