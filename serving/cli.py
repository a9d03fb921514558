"""The operator's commands: deploy, route, key. They speak to the admin API and to nothing else."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.markup import escape

from serving import cli_tables
from serving.admin_client import (
    DEFAULT_URL,
    KEY_VARIABLE,
    URL_VARIABLE,
    AdminClient,
    AdminError,
    find_key,
)
from serving.settings import Settings
from serving.store.values import Scope

Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar=URL_VARIABLE,
        help=f"Where the admin API listens. The key is taken from {KEY_VARIABLE}, else from the "
        "file admin.key in the state folder of a server on this machine.",
    ),
]
Why = Annotated[str, typer.Option("--why", help="Your words, kept in the history and the audit.")]
RouteName = Annotated[str, typer.Argument(metavar="ROUTE", help="Name of the route.")]

route_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Show and change which release answers which cameras.",
)
key_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Make, list and revoke API keys."
)

# NAME=WEIGHT, or NAME=MODEL-VERSION:WEIGHT
_ARM = re.compile(r"(?P<name>[^=]+)=(?:(?P<release>[^:=]+):)?(?P<weight>[0-9.]+)%?")


@contextmanager
def _admin(url: str) -> Iterator[AdminClient]:
    """Open the admin API, and end the command with one red message when it refuses."""
    try:
        with AdminClient(url, find_key(Settings().state_dir)) as client:
            yield client
    except AdminError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]Error:[/] {escape(error.message)}")
        raise typer.Exit(1) from error


def deploy(
    archive: Annotated[Path, typer.Argument(help="NAME-VERSION.mar in the server's model store.")],
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
    batch_size: Annotated[int, typer.Option(min=1, max=256, help="Largest batch.")] = 8,
    url: Url = DEFAULT_URL,
) -> None:
    """Verify an archive, load it and warm it up; it takes no traffic yet.

    The server checks the signature on its own copy, starts the workers, and has them answer the
    archive's golden frames. Whatever fails, what serves now goes on serving. The same archive a
    second time changes nothing but the number of workers.

    [bold]Examples[/]

      understudy deploy model_store/student-1.0.mar

      understudy deploy model_store/teacher-1.0.mar --workers 2 --batch-size 4
    """
    body = {"path": _for_server(archive), "workers": workers, "batch_size": batch_size}
    console = Console()
    with _admin(url) as admin, console.status(f"loading and warming {archive.name} ..."):
        release = admin.call("POST", "/releases", body)
    console.print(cli_tables.releases([release]))
    if release["state"] == "ready":
        key, model = release["release"], release["release"].rpartition("-")[0]
        console.print(f"\nGive it traffic: understudy route set default {model}={key}:100")


@route_app.command("show")
def show(url: Url = DEFAULT_URL) -> None:
    """Show the routes and the releases behind them.

    [bold]Example[/]

      understudy route show
    """
    with _admin(url) as admin:
        status = admin.call("GET", "/status")
    console = Console()
    if status["routes"]:
        console.print(cli_tables.routes(status["routes"]))
    else:
        console.print("No route yet: understudy route set default NAME=MODEL-VERSION:100")
    console.print()
    if status["releases"]:
        console.print(cli_tables.releases(status["releases"]))
    else:
        console.print("No release yet: understudy deploy model_store/NAME-VERSION.mar")


@route_app.command("set")
def set_route(  # noqa: PLR0917 - the parameters of a Typer command are its options
    route: RouteName,
    arms: Annotated[
        list[str],
        typer.Argument(
            metavar="ARM...",
            help="NAME=WEIGHT for an arm the route has, NAME=MODEL-VERSION:WEIGHT to give an arm "
            "its release. Weights are percent and sum to 100.",
        ),
    ],
    why: Why = "",
    sticky: Annotated[
        str | None,
        typer.Option(help="What the split hashes: camera (default) or none."),
    ] = None,
    timeout_s: Annotated[
        float | None, typer.Option(help="Deadline of a request that brings none, seconds.")
    ] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Set a route's arms; those it had and that you do not name leave it.

    Raising the weight of a later arm moves cameras only from the earlier ones to it, and no camera
    moves twice. What leaves the route last stays loaded as standby, so `rollback` takes no time.

    [bold]Examples[/]

      understudy route set default teacher=teacher-1.0:100

      understudy route set default teacher=50 student=student-1.0:50 --why "half the cameras"

      understudy route set default teacher=0 student=100
    """
    with _admin(url) as admin:
        present = _present(admin, route)
        body: dict[str, Any] = {"arms": _arms(arms, present), "why": why}
        body["expected_revision"] = 0 if present is None else present["revision"]
        for name, value in (("sticky", sticky), ("timeout_s", timeout_s)):
            if value is not None:
                body[name] = value
            elif present is not None:
                body[name] = present[name]
        changed = admin.call("PUT", f"/routes/{quote(route)}", body)
    _tell(changed, present)


@route_app.command("promote")
def promote(
    route: RouteName,
    arm: Annotated[str, typer.Argument(help="The arm that gets everything.")],
    why: Why = "",
    url: Url = DEFAULT_URL,
) -> None:
    """Give one arm of a route all cameras; the others stay loaded with none.

    [bold]Example[/]

      understudy route promote default student --why "a week without complaint"
    """
    with _admin(url) as admin:
        body = {"arm": arm, "why": why}
        _tell(admin.call("POST", f"/routes/{quote(route)}/promote", body))


@route_app.command("rollback")
def rollback(
    route: RouteName,
    to: Annotated[
        int | None, typer.Option("--to", help="This revision, see `history`.", min=1)
    ] = None,
    why: Why = "",
    url: Url = DEFAULT_URL,
) -> None:
    """Go back to the newest earlier revision that differs and can answer at once.

    It takes under a second: what it goes back to is still loaded. Where it is not, nothing changes
    and the message names what to deploy again.

    [bold]Examples[/]

      understudy route rollback default --why "it sees ghosts"

      understudy route rollback default --to 3
    """
    with _admin(url) as admin:
        body = {"revision": to, "why": why}
        _tell(admin.call("POST", f"/routes/{quote(route)}/rollback", body))


@route_app.command("history")
def history(
    route: RouteName,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    url: Url = DEFAULT_URL,
) -> None:
    """Show who set a route to what, when and why.

    [bold]Example[/]

      understudy route history default --limit 5
    """
    with _admin(url) as admin:
        revisions = admin.call("GET", f"/routes/{quote(route)}/history", limit=limit)
    Console().print(cli_tables.history(revisions))


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
    with _admin(url) as admin:
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
    with _admin(url) as admin:
        revoked = admin.call("DELETE", f"/keys/{quote(key_id)}")
    typer.echo(f"revoked {revoked['id']} ({revoked['name']})")


@key_app.command("list")
def list_keys(url: Url = DEFAULT_URL) -> None:
    """List the API keys, revoked ones too, without their secrets.

    [bold]Example[/]

      understudy key list
    """
    with _admin(url) as admin:
        Console().print(cli_tables.keys(admin.call("GET", "/keys")))


def _for_server(archive: Path) -> str:
    """Return a path the server understands: absolute if the file is here, else as it was given."""
    return str(archive.resolve()) if archive.exists() else str(archive)


def _present(admin: AdminClient, route: str) -> Mapping[str, Any] | None:
    found = [one for one in admin.call("GET", "/routes") if one["name"] == route]
    return found[0] if found else None


def _arms(wanted: Sequence[str], present: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Read the arms; those the route has keep their order, which the split depends on."""
    known = {} if present is None else {arm["name"]: arm["release"] for arm in present["arms"]}
    arms: dict[str, dict[str, Any]] = {}
    for text in wanted:
        arm = _arm(text, known)
        if arm["name"] in arms:
            raise AdminError(f"{text}: the arm {arm['name']} is named twice")
        arms[arm["name"]] = arm
    order = [name for name in known if name in arms] + [name for name in arms if name not in known]
    return [arms[name] for name in order]


def _arm(text: str, known: Mapping[str, str]) -> dict[str, Any]:
    read = _ARM.fullmatch(text)
    if read is None:
        raise AdminError(f"{text}: an arm reads NAME=WEIGHT or NAME=MODEL-VERSION:WEIGHT")
    name, release = read["name"], read["release"] or known.get(read["name"])
    if release is None:
        raise AdminError(
            f"{text}: the route has no arm {name} yet; give it a release, as in "
            f"{name}=MODEL-VERSION:{read['weight']}"
        )
    try:
        return {"name": name, "release": release, "weight": float(read["weight"])}
    except ValueError:
        raise AdminError(f"{text}: {read['weight']} is not a number") from None


def _tell(changed: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> None:
    console = Console()
    console.print(cli_tables.routes([changed]))
    gone = {arm["name"] for arm in before["arms"]} if before else set()
    gone -= {arm["name"] for arm in changed["arms"]}
    for name in sorted(gone):
        console.print(f"The arm {name} left the route; its release stays loaded as standby.")
    if changed["why"]:
        console.print(f"Why: {changed['why']}", markup=False)
