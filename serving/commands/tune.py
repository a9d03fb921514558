"""The command `understudy tune`."""

import asyncio
import logging
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from pydantic import ValidationError
from rich.console import Console

from serving.commands.durations import seconds_of
from serving.commands.telling import tell_error
from serving.errors import ConfigurationError, UnderstudyError
from serving.settings import Settings, explain

_LEAST_BUDGET_S = 30.0
_BUSY_CORES = 0.2


def tune(  # noqa: PLR0917 - Typer reads the options from the parameters
    archive: Annotated[Path, typer.Argument(help="NAME-VERSION.mar, its signature beside it.")],
    frames: Annotated[
        Path | None,
        typer.Option(help="Folder of frames as your cameras send. \\[the archive's golden frames]"),
    ] = None,
    p99_ms: Annotated[
        float, typer.Option(min=1, max=60_000, help="99 of 100 frames are to be answered in this.")
    ] = 200.0,
    budget: Annotated[str, typer.Option(help="Time for the search: 90s, 5m or 1h.")] = "5m",
    variant: Annotated[
        list[str] | None,
        typer.Option(help="Try only this one of the card's; may be given more than once."),
    ] = None,
    cores: Annotated[
        int | None,
        typer.Option(
            min=1, help="To share among the workers; leave some to other releases. \\[all]"
        ),
    ] = None,
    oversubscribe: Annotated[
        bool, typer.Option("--oversubscribe", help="Also try more threads than cores.")
    ] = False,
    trusted_key: Annotated[
        list[Path] | None,
        typer.Option(
            help="Public key that may have signed it; may be given more than once. "
            "[~/.understudy/signing-key.pub.pem]"
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Gets the settings. [./NAME-VERSION.deploy.yaml]")
    ] = None,
) -> None:
    """Find how an archive is best deployed on this machine.

    Starts a TorchServe of its own, which touches no running deployment, and tries the card's
    variants, numbers of workers and threads, batch sizes and batch delays: those whose answers
    leave the golden frames' tolerance are out. Frames are then sent at random moments, as cameras
    do, at growing rates. Shows the front of frames a second against p99, and writes what holds the
    most within the target as settings for [bold]understudy deploy[/bold].

    Run it where the archive will serve, while the machine does little else. Ctrl-C shows what was
    found so far. The exit status is 1 when nothing held the target.

    [bold]Examples[/]

      understudy tune model_store/student-1.0.mar --frames frames/ --p99-ms 100

      understudy deploy model_store/student-1.0.mar --settings student-1.0.deploy.yaml
    """
    from serving.tuning.session import Plan, Session  # noqa: PLC0415 - so that --help is quick

    plan = Plan(
        archive=archive,
        trusted_keys=_trusted(trusted_key),
        frames=frames,
        p99_ms=p99_ms,
        budget_s=_budget_s(budget),
        variants=tuple(variant or ()),
        cores=cores,
        oversubscribe=oversubscribe,
    )
    target = output or Path()
    _must_be_writable(target)
    # The server's own news would run through the progress bar.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    session, console = Session(plan), Console()
    try:
        _search(session, console)
    except UnderstudyError as error:
        tell_error(error.message)
        raise typer.Exit(1) from error
    except (KeyboardInterrupt, asyncio.CancelledError):
        _tell(session, console, None)
        raise typer.Exit(130) from None
    _tell(session, console, target)
    if session.findings.best(p99_ms) is None:
        raise typer.Exit(1)


def _search(session: Any, console: Console) -> None:
    import uvloop  # noqa: PLC0415

    from serving.commands.tune_shown import ProgressBar  # noqa: PLC0415

    with (
        ProgressBar(console, session.plan.budget_s) as bar,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(session.run(bar))


def _tell(session: Any, console: Console, output: Path | None) -> None:
    """Show what was found, and write it; where the search was interrupted it is shown alone."""
    from serving.commands import tune_shown as shown  # noqa: PLC0415

    findings, plan = session.findings, session.plan
    best = findings.best(plan.p99_ms)
    if findings.points:
        console.print(shown.front(findings, best))
        console.print()
    if best is not None:
        _say(console, shown.recommended(best))
    elif output is not None:
        _say(console, shown.none_holds(findings, plan.p99_ms))
    if session.busy_cores > _BUSY_CORES:
        console.print("[yellow]warning:[/yellow]", end=" ")
        _say(console, shown.was_busy(session.busy_cores))
    deploy = f"understudy deploy {shlex.quote(str(plan.archive))}"
    if output is None:
        so_far = f"the best so far:\n  {deploy} {shown.as_options(best)}" if best else "no way yet"
        _say(console, f"Interrupted; {so_far}")
    elif best is not None:
        try:
            file = _written(session, best, deploy, output)
        except ConfigurationError as error:
            _say(console, f"\n  {deploy} {shown.as_options(best)}")
            tell_error(error.message)
            raise typer.Exit(1) from error
        _say(console, f"\n  {deploy} --settings {shlex.quote(str(file))}")


def _written(session: Any, best: Any, deploy: str, output: Path) -> Path:
    """Write the settings; returns where."""
    from serving.tuning.record import recorded  # noqa: PLC0415

    settings = recorded(
        best,
        session.archive,
        frames=session.frames.told,
        p99_ms=session.plan.p99_ms,
        busy_cores=session.busy_cores,
    )
    file = output / f"{session.archive.key}.deploy.yaml" if output.is_dir() else output
    command = f"{deploy} --settings {shlex.quote(str(file))}"
    settings.write(file, f"Of `understudy tune`, for `{command}`.")
    return file


def _must_be_writable(output: Path) -> None:
    """Refuse what could not be written once the search is over."""
    folder = output if output.is_dir() else output.parent
    if not folder.is_dir():
        raise typer.BadParameter(f"{folder}: no such folder", param_hint="--output")
    if not os.access(folder, os.W_OK):
        raise typer.BadParameter(
            f"{folder.absolute()}: may not be written to; give another", param_hint="--output"
        )


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _budget_s(text: str) -> float:
    seconds = seconds_of(text, "--budget")
    if seconds < _LEAST_BUDGET_S:
        raise typer.BadParameter(
            f"{text}: a search takes {_LEAST_BUDGET_S:g}s at least", param_hint="--budget"
        )
    return seconds


def _trusted(given: list[Path] | None) -> tuple[Path, ...]:
    try:
        settings = Settings(trusted_keys=tuple(given)) if given else Settings()
    except ValidationError as error:
        tell_error(explain(error))
        raise typer.Exit(2) from None
    return settings.trusted_keys
