"""The operator's commands: deploy, route, key. They speak to the admin API and to nothing else."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from serving import cli_tables
from serving.admin_client import DEFAULT_URL
from serving.admin_session import Url, admin_session, present_route
from serving.key_cli import key_app
from serving.route_cli import route_app
from serving.traffic_hint import traffic_hint

__all__ = ["deploy", "key_app", "route_app"]


def deploy(
    archive: Annotated[Path, typer.Argument(help="NAME-VERSION.mar in the server's model store.")],
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
    batch_size: Annotated[int, typer.Option(min=1, max=256, help="Largest batch.")] = 8,
    variant: Annotated[
        str,
        typer.Option(help="One of the card's variants; auto: the fastest, as the workers find it."),
    ] = "auto",
    url: Url = DEFAULT_URL,
) -> None:
    """Verify an archive, load it and warm it up; it takes no traffic yet.

    The server checks the signature on its own copy, starts the workers, and has them answer the
    archive's golden frames. Whatever fails, what serves now goes on serving. The same archive a
    second time changes nothing but the number of workers.

    [bold]Examples[/]

      understudy deploy model_store/student-1.0.mar

      understudy deploy model_store/teacher-1.0.mar --workers 2 --batch-size 4

      understudy deploy model_store/student-1.0.mar --variant openvino-int8
    """
    body = {"path": _for_server(archive), "workers": workers}
    body |= {"batch_size": batch_size, "variant": variant}
    console = Console()
    with admin_session(url) as admin, console.status(f"loading and warming {archive.name} ..."):
        release = admin.call("POST", "/releases", body)
        route = present_route(admin, "default")
    console.print(cli_tables.releases([release]))
    if release["state"] == "ready":
        hint = traffic_hint(release["release"], route)
        console.print(f"\n{hint}", markup=False, highlight=False, soft_wrap=True)


def _for_server(archive: Path) -> str:
    """Return a path the server understands: absolute if the file is here, else as it was given."""
    return str(archive.resolve()) if archive.exists() else str(archive)
