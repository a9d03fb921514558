"""The commands `understudy key ...`."""

from typing import Annotated
from urllib.parse import quote

import typer
from rich.console import Console

from serving import cli_tables
from serving.admin_client import DEFAULT_URL
from serving.admin_session import Url, admin_session
from serving.store.values import Scope

key_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Make, list and revoke API keys."
)


@key_app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Who will hold it, as in 'gate camera 3'.")],
    scope: Annotated[Scope, typer.Option(help="What it may do; each holds the ones before.")] = (
        Scope.DETECT
    ),
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Days until it ends; never otherwise.")
    ] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Make an API key. It is shown once: nobody can read it later.

    [bold]Examples[/]

      understudy key create "gate camera 3"

      understudy key create night-shift --scope operate --days 90
    """
    with admin_session(url) as admin:
        body = {"name": name, "scope": scope.value, "expires_in_days": days}
        made = admin.call("POST", "/keys", body)
    # Alone on standard output, so that it can go straight to where it is needed.
    typer.echo(made["key"])
    typer.echo(f"id {made['id']}, scope {made['scope']}; it is not shown again", err=True)


@key_app.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The id, see `key list`.")],
    url: Url = DEFAULT_URL,
) -> None:
    """Revoke an API key; it takes effect within a second.

    [bold]Example[/]

      understudy key revoke 3f9c0a1b2d4e
    """
    with admin_session(url) as admin:
        revoked = admin.call("DELETE", f"/keys/{quote(key_id)}")
    typer.echo(f"revoked {revoked['id']} ({revoked['name']})")


@key_app.command("list")
def list_keys(url: Url = DEFAULT_URL) -> None:
    """List the API keys, revoked ones too, without their secrets.

    [bold]Example[/]

      understudy key list
    """
    with admin_session(url) as admin:
        Console().print(cli_tables.keys(admin.call("GET", "/keys")))
