"""`understudy job redistil`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from distill_jobs.commands.again import given_again
from distill_jobs.commands.reporting import reporting
from distill_jobs.errors import JobError
from distill_jobs.telling import told_plainly

if TYPE_CHECKING:
    from distill_jobs.progress import Reporter
    from distill_jobs.redistil.attempt import Attempt
    from distill_jobs.redistil.redistil import Wish


def redistil(  # noqa: PLR0917 - Typer reads the options from the parameters
    context: typer.Context,
    job: Annotated[
        Path,
        typer.Argument(
            metavar="JOB", help="A job file; or a finished run: its teacher is used as it is."
        ),
    ],
    harvest: Annotated[Path, typer.Option(help="Folder that the gateways write frames to.")],
    folder: Annotated[
        Path | None, typer.Option(help="Keeps the attempts. Default: runs/NAME-redistil.")
    ] = None,
    share: Annotated[
        float,
        typer.Option(min=0.01, max=0.9, help="Most harvested frames of all that is trained on."),
    ] = 0.3,
    min_frames: Annotated[
        int,
        typer.Option(min=0, help="With fewer new frames nothing is done; 0: distil all the same."),
    ] = 20,
    review: Annotated[
        bool, typer.Option("--review", help="Stop after choosing, so that a person can look.")
    ] = False,
    reviewed: Annotated[
        bool,
        typer.Option("--reviewed", help="Go on though no line of review.csv has a verdict."),
    ] = False,
    live: Annotated[
        Path | None,
        typer.Option(
            help="Archive that serves, which the gate compares with. Default: the student's "
            "newest in the model store."
        ),
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="Of the new archives. Default: the next free one.")
    ] = None,
    model_store: Annotated[Path, typer.Option(help="Gets the archives.")] = Path("model_store"),
    signing_key: Annotated[
        Path | None, typer.Option(help="Private key. Default: as `understudy job run`.")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(help='Cron, UTC ("0 3 * * 0"): print a Kubernetes CronJob, run nothing.'),
    ] = None,
) -> None:
    """Distil again with what cameras brought home.

    Takes frames of the harvest as extra training data, those first on which the models disagreed
    most, each camera in its turn. They are never validated or tested on; a frame that shows the
    same as an image of the data set, or almost, is left out. The teacher alone explains them: the
    labels in the harvest are a model's answers, and count only where a person accepted them.

    With [bold]--review[/bold] the command stops and names review.csv and review.html: write accept
    or reject before frames, and give the command again. It waits until a line has a verdict, or
    [bold]--reviewed[/bold] says that none needs one. Verdicts are remembered: a rejected frame is
    never taken again, accepted labels come back.

    A killed attempt goes on with the same command. One that the data, the training or the gate
    refused has ended, and the next call begins another once there are new frames. The harvested
    pictures in an attempt's folder are removed when it ends.

    [bold]Examples[/]

      understudy job redistil runs/bccd --harvest ~/.understudy/harvest

      understudy job redistil bccd.yaml --harvest /home/understudy/harvest
      --schedule "0 3 * * 0" > deploy/kubernetes/redistil/cronjob.yaml
    """
    with told_plainly():
        if schedule is not None:
            _refuse_what_a_pod_sets_itself(context)
            options = [f"--share={share:g}", f"--min-frames={min_frames}"]
            options += ["--review"] * review + [f"--live={live}"] * (live is not None)
            _print_manifest(schedule, job, harvest, options)
            return
        from distill_jobs.environment import offline  # noqa: PLC0415  # keeps --help fast

        offline()
        from distill_jobs.redistil.choice import Limits  # noqa: PLC0415  # heavy
        from distill_jobs.redistil.origin import read_origin  # noqa: PLC0415  # likewise
        from distill_jobs.redistil.redistil import Wish  # noqa: PLC0415  # likewise

        origin = read_origin(job)
        data = origin.job.data
        wish = Wish(
            origin=origin,
            harvest=harvest,
            root=(folder or Path("runs") / f"{origin.job.name}-redistil").absolute(),
            model_store=model_store.absolute(),
            limits=Limits(share, data.near_duplicate_bits, data.max_unlabelled_share),
            min_frames=min_frames,
            review=review,
            reviewed=reviewed,
            version=version,
            live=live.absolute() if live else None,
        )
        again = given_again(context)
        with reporting(again) as reporter:
            attempt = _do(wish, signing_key, reporter)
        _tell(attempt, again)


def _do(wish: "Wish", signing_key: Path | None, reporter: "Reporter") -> "Attempt | None":
    from distill_jobs.redistil.redistil import redistil as distil_again  # noqa: PLC0415  # heavy
    from distill_jobs.run import resume, run_job  # noqa: PLC0415  # likewise

    def begin(attempt: "Attempt") -> None:
        run_job(
            attempt.job_file,
            attempt.run_dir,
            reporter=reporter,
            model_store=wish.model_store,
            signing_key=signing_key,
        )

    def go_on(attempt: "Attempt") -> None:
        resume(attempt.run_dir, reporter=reporter)

    return distil_again(wish, begin, go_on, reporter)


def _tell(attempt: "Attempt | None", again: str) -> None:
    if attempt is None:
        return
    console = Console()
    if attempt.state == "in review":
        console.print(
            f"Look at {attempt.path / 'review.html'},\n"
            f"write accept or reject into {attempt.review_list},\n"
            f"then go on with: {again}\n"
            "(no line needs a verdict? add --reviewed)",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        return
    from distill_jobs.run_folder import RunFolder  # noqa: PLC0415  # heavy
    from distill_jobs.run_table import print_run  # noqa: PLC0415  # likewise

    if attempt.run_dir.is_dir():  # not where every frame was rejected
        print_run(console, RunFolder.open(attempt.run_dir))


def _refuse_what_a_pod_sets_itself(context: typer.Context) -> None:
    """Refuse options that a CronJob cannot carry: dropped in silence they would surprise."""
    remedies = {
        "folder": "the pod keeps attempts in its claim `understudy-jobs`",
        "model_store": "the pod has the claim `understudy-model-store`",
        "signing_key": "the pod has the secret `understudy-signing-key`",
        "version": "each run takes the next free one",
        "reviewed": "give it by hand, when you have looked",
    }
    for name, remedy in remedies.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = f"--{name.replace('_', '-')}"
            raise JobError(f"{option}: means nothing with --schedule: {remedy}; leave it out")


def _print_manifest(schedule: str, job: Path, harvest: Path, options: Sequence[str]) -> None:
    from distill_jobs.redistil.schedule import Schedule, manifest  # noqa: PLC0415  # keeps --help fast

    plan = Schedule(cron=schedule, job=str(job), harvest=str(harvest), options=tuple(options))
    typer.echo(manifest(plan), nl=False)
