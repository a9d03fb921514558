"""The commands `understudy key ...`."""

import re
from typing import Annotated
from urllib.parse import quote

import typer
from rich.console import Console

from serving.commands import tables
from serving.commands.admin_session import admin_session
from serving.commands.server import Server, asks_server
from serving.store.values import Scope

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The id, see `key list`.")]
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}

key_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Make, limit, rotate and revoke API keys."
)


@key_app.command("create")
@asks_server
def create_key(
    name: Annotated[str, typer.Argument(help="Who will hold it, as in 'gate camera 3'.")],
    scope: Annotated[Scope, typer.Option(help="What it may do; each holds the ones before.")] = (
        Scope.DETECT
    ),
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Days until it ends; never otherwise.")
    ] = None,
    frames_per_second: Annotated[
        float | None,
        typer.Option(min=0.001, max=100_000, help="Of each gateway process; no limit otherwise."),
    ] = None,
    *,
    server: Server,
) -> None:
    """Make an API key. It is shown once: nobody can read it later.

    [bold]Examples[/]

      understudy key create "gate camera 3"

      understudy key create night-shift --scope operate --days 90

      understudy key create "yard recorder" --frames-per-second 50
    """
    body = {
        "name": name,
        "scope": scope.value,
        "expires_in_days": days,
        "frames_per_second": frames_per_second,
    }
    with admin_session(server) as admin:
        made = admin.call("POST", "/keys", body)
    # Alone on standard output, so that it can go straight to where it is needed.
    typer.echo(made["key"])
    typer.echo(f"id {made['id']}, scope {made['scope']}; it is not shown again", err=True)


@key_app.command("limit")
@asks_server
def limit_key(
    key_id: KeyId,
    frames_per_second: Annotated[
        str, typer.Argument(metavar="N|none", help="Frames a second, or none for no limit.")
    ],
    *,
    server: Server,
) -> None:
    """Limit what a key's holders may have answered; holds within a second.

    Each gateway process lets so many frames a second through: a camera is connected to one of them.
    Two seconds' worth may come at once.

    [bold]Examples[/]

      understudy key limit 3f9c0a1b2d4e 50

      understudy key limit 3f9c0a1b2d4e none
    """
    with admin_session(server) as admin:
        body = {"frames_per_second": _frames_per_second(frames_per_second)}
        limited = admin.call("PATCH", f"/keys/{quote(key_id)}", body)
    limit = limited["frames_per_second"]
    shown = "no limit" if limit is None else f"{limit:g} frames a second"
    typer.echo(f"{limited['id']} ({limited['name']}): {shown}")


@key_app.command("rotate")
@asks_server
def rotate_key(
    key_id: KeyId,
    grace: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="How long the old text is good still: 24h, 30m, 7d; 0: not at all."
        ),
    ] = "24h",
    *,
    server: Server,
) -> None:
    """Make a key's successor: another secret of the same name, scope and limit.

    It is shown once. The old one ends after the grace; where it was the one in this server's file
    admin.key, the file holds the new one. A key that ends some day gets a successor that lasts as
    long again.

    [bold]Examples[/]

      understudy key rotate 3f9c0a1b2d4e

      understudy key rotate 3f9c0a1b2d4e --grace 7d > camera.key
    """
    with admin_session(server) as admin:
        made = admin.call("POST", f"/keys/{quote(key_id)}/rotate", {"grace_s": _seconds(grace)})
    typer.echo(made["key"])
    old = made["replaced"]
    typer.echo(
        f"id {made['id']}, in place of {old['id']}, which ends {tables.when(old['expires'])}; "
        "it is not shown again",
        err=True,
    )


@key_app.command("revoke")
@asks_server
def revoke_key(
    key_id: KeyId,
    *,
    server: Server,
) -> None:
    """Revoke an API key; it takes effect within a second.

    [bold]Example[/]

      understudy key revoke 3f9c0a1b2d4e
    """
    with admin_session(server) as admin:
        revoked = admin.call("DELETE", f"/keys/{quote(key_id)}")
    typer.echo(f"revoked {revoked['id']} ({revoked['name']})")


@key_app.command("list")
@asks_server
def list_keys(*, server: Server) -> None:
    """List the API keys, revoked ones too, without their secrets.

    [bold]Example[/]

      understudy key list
    """
    with admin_session(server) as admin:
        Console().print(tables.keys(admin.call("GET", "/keys")))


def _frames_per_second(text: str) -> float | None:
    if text == "none":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is neither a number nor none") from error


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if found is None:
        raise typer.BadParameter(
            f"{text!r} is no time as in 30m, 24h, 7d or 0", param_hint="--grace"
        )
    return float(found[1]) * _SECONDS[found[2]]
