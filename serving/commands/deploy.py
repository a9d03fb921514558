"""The command `understudy deploy`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from serving.admin_client import AdminClient
from serving.commands import tables
from serving.commands.admin_session import admin_session, present_route
from serving.commands.server import Server, asks_server
from serving.commands.telling import tell_error
from serving.commands.traffic_hint import traffic_hint
from serving.errors import ConfigurationError
from serving.machine import Machine
from serving.tuning.deploy_settings import DeployOptions, DeploySettings


@asks_server
def deploy(  # noqa: PLR0917 - Typer reads the options from the parameters
    archive: Annotated[Path, typer.Argument(help="NAME-VERSION.mar in the server's model store.")],
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Worker processes. [1, or as many as it has]")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Of a run of the model. \\[workers share the cores]"),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, max=256, help="Largest batch. [8]")
    ] = None,
    batch_delay_ms: Annotated[
        int | None,
        typer.Option(min=0, max=1000, help="How long a worker waits for a batch to fill. [0]"),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            help="One of the card's variants; auto: the fastest, as the workers find it. \\[auto]"
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="A file of `understudy tune` with all of these; an option wins."),
    ] = None,
    *,
    server: Server,
) -> None:
    """Verify an archive, load it and warm it up; it takes no traffic yet.

    The server checks the signature on its own copy, starts the workers, and has them answer the
    archive's golden frames. Whatever fails, what serves now goes on serving. The same archive a
    second time changes nothing but the number of workers, where one is given.

    [bold]Examples[/]

      understudy deploy model_store/student-1.0.mar

      understudy deploy model_store/teacher-1.0.mar --workers 2 --batch-size 4

      understudy deploy model_store/student-1.0.mar --variant openvino-int8

      understudy deploy model_store/student-1.0.mar --settings student-1.0.deploy.yaml
    """
    given = {
        "workers": workers,
        "threads": threads,
        "batch_size": batch_size,
        "batch_delay_ms": batch_delay_ms,
        "variant": variant,
    }
    read = _read(settings) if settings is not None else DeploySettings(deploy=DeployOptions())
    # What nobody names is the server's to say: a release that is loaded keeps its workers.
    options = read.deploy.model_dump(exclude_unset=True)
    options |= {k: v for k, v in given.items() if v is not None}
    console = Console()
    with admin_session(server) as admin, console.status(f"loading and warming {archive.name} ..."):
        release = admin.call("POST", "/releases", {"path": _for_server(archive)} | options)
        route = present_route(admin, "default")
        doubts = read.doubts(release["release"], release["sha256"], *_machine(admin, read, options))
    console.print(tables.releases([release]))
    for doubt in doubts:
        console.print("[yellow]warning:[/yellow]", end=" ")
        console.print(f"--settings: {doubt}", markup=False, highlight=False, soft_wrap=True)
    if release["state"] == "ready":
        hint = traffic_hint(release["release"], route)
        console.print(f"\n{hint}", markup=False, highlight=False, soft_wrap=True)


def _read(settings: Path) -> DeploySettings:
    try:
        return DeploySettings.read(settings)
    except ConfigurationError as error:
        tell_error(error.message)
        raise typer.Exit(2) from error


def _machine(
    admin: AdminClient, settings: DeploySettings, options: Mapping[str, Any]
) -> tuple[Machine | None, int]:
    """Return what workers run on, where that is known and matters, and how many backends share it.

    One, where somebody has given the number of workers beside the settings.
    """
    if settings.machine is None:
        return None, 1
    status = admin.call("GET", "/status")
    if not all(one.get("here", True) for one in status["backends"]):
        return None, 1
    workers = options.get("workers", settings.deploy.workers)
    backends = len(status["backends"]) if workers == settings.deploy.workers else 1
    return Machine.model_validate(status["machine"]), backends


def _for_server(archive: Path) -> str:
    """Return a path the server understands: absolute if the file is here, else as it was given."""
    return str(archive.resolve()) if archive.exists() else str(archive)
