"""The commands `understudy route ...`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console

from serving.admin_client import AdminClient
from serving.commands import tables
from serving.commands.admin_session import admin_session, present_route
from serving.commands.arm_arguments import read_arms
from serving.commands.route_arguments import read_fallback, read_shadow
from serving.commands.server import Server, asks_server

Why = Annotated[str, typer.Option("--why", help="Your words, kept in the history and the audit.")]
RouteName = Annotated[str, typer.Argument(metavar="ROUTE", help="Name of the route.")]

route_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Show and change which release answers which cameras.",
)


@route_app.command("show")
@asks_server
def show(*, server: Server) -> None:
    """Show the routes and the releases behind them.

    [bold]Example[/]

      understudy route show
    """
    with admin_session(server) as admin:
        status = admin.call("GET", "/status")
    console = Console()
    if status["routes"]:
        console.print(tables.routes(status["routes"]))
        _tell_extras(console, status["routes"])
    else:
        console.print("No route yet: understudy route set default NAME=MODEL-VERSION:100")
    console.print()
    if status["releases"]:
        console.print(tables.releases(status["releases"]))
    else:
        console.print("No release yet: understudy deploy model_store/NAME-VERSION.mar")


@route_app.command("set")
@asks_server
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
        typer.Option(help="What the split hashes: camera (default), none or header:NAME."),
    ] = None,
    timeout_s: Annotated[
        float | None, typer.Option(help="Deadline of a request that brings none, seconds.")
    ] = None,
    shadow: Annotated[
        str | None,
        typer.Option(
            metavar="ARM:RATE",
            help="An arm that answers this share of the others' frames, unheard.",
        ),
    ] = None,
    no_shadow: Annotated[bool, typer.Option("--no-shadow", help="No shadow any more.")] = False,
    fallback: Annotated[
        str | None,
        typer.Option(
            metavar="ARM[:BUDGET]",
            help="Who answers where an arm fails or is full, up to this share of the requests.",
        ),
    ] = None,
    no_fallback: Annotated[bool, typer.Option("--no-fallback", help="No fallback.")] = False,
    *,
    server: Server,
) -> None:
    """Set a route's arms; those it had and that you do not name leave it.

    Whatever else the route has stays where its option is absent.

    Raising the weight of a later arm moves cameras only from the earlier ones to it, and no camera
    moves twice. What leaves the route last stays loaded as standby, so `rollback` takes no time.

    [bold]Examples[/]

      understudy route set default teacher=teacher-1.0:100

      understudy route set default teacher=50 student=student-1.0:50 --why "half the cameras"

      understudy route set default teacher=100 student=0 --shadow student:0.1

      understudy route set default teacher=0 student=100 --fallback teacher:0.2
    """
    with admin_session(server) as admin:
        present = present_route(admin, route)
        body: dict[str, Any] = {"arms": read_arms(arms, present), "why": why}
        body["expected_revision"] = 0 if present is None else present["revision"]
        for name, value in (("sticky", sticky), ("timeout_s", timeout_s)):
            if value is not None:
                body[name] = value
            elif present is not None:
                body[name] = present[name]
        body["shadow"] = read_shadow(shadow, none=no_shadow, present=present)
        body["fallback"] = read_fallback(fallback, none=no_fallback, present=present)
        changed = admin.call("PUT", f"/routes/{quote(route)}", body)
    _tell(changed, present)


@route_app.command("promote")
@asks_server
def promote(
    route: RouteName,
    arm: Annotated[str, typer.Argument(help="The arm that gets everything.")],
    why: Why = "",
    *,
    server: Server,
) -> None:
    """Give one arm of a route all cameras; the others stay loaded with none.

    [bold]Example[/]

      understudy route promote default student --why "a week without complaint"
    """
    with admin_session(server) as admin:
        body = {"arm": arm, "why": why}
        _tell(admin.call("POST", f"/routes/{quote(route)}/promote", body))


@route_app.command("rollback")
@asks_server
def rollback(
    route: RouteName,
    to: Annotated[
        int | None, typer.Option("--to", help="This revision, see `history`.", min=1)
    ] = None,
    why: Why = "",
    *,
    server: Server,
) -> None:
    """Go back to the newest earlier revision that differs and can answer at once.

    It takes under a second: what it goes back to is still loaded. Where it is not, nothing changes
    and the message names what to deploy again.

    [bold]Examples[/]

      understudy route rollback default --why "it sees ghosts"

      understudy route rollback default --to 3
    """
    with admin_session(server) as admin:
        body = {"revision": to, "why": why}
        changed = admin.call("POST", f"/routes/{quote(route)}/rollback", body)
        _tell(changed)
        _tell_the_way_back(admin, changed)


@route_app.command("history")
@asks_server
def history(
    route: RouteName,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    *,
    server: Server,
) -> None:
    """Show who set a route to what, when and why.

    [bold]Example[/]

      understudy route history default --limit 5
    """
    with admin_session(server) as admin:
        revisions = admin.call("GET", f"/routes/{quote(route)}/history", limit=limit)
    Console().print(tables.history(revisions))


def _tell_the_way_back(admin: AdminClient, changed: Mapping[str, Any]) -> None:
    """Say where another rollback leads: to what this one left, which is loaded still."""
    route = changed["name"]
    newest, left = admin.call("GET", f"/routes/{quote(route)}/history", limit=2)
    if newest["revision"] != changed["revision"]:
        return  # somebody changed the route meanwhile
    Console().print(
        f"Rolling back again returns to revision {left['revision']} "
        f"({', '.join(tables.arms(left))}); to go further back, "
        f"understudy route rollback {route} --to REVISION",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _tell_extras(console: Console, routes: Sequence[Mapping[str, Any]]) -> None:
    for line in (line for route in routes for line in tables.extras(route)):
        console.print(line, markup=False, highlight=False)


def _tell(changed: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> None:
    console = Console()
    console.print(tables.routes([changed]))
    _tell_extras(console, [changed])
    gone = {arm["name"] for arm in before["arms"]} if before else set()
    gone -= {arm["name"] for arm in changed["arms"]}
    for name in sorted(gone):
        console.print(f"The arm {name} left the route; its release stays loaded as standby.")
    if changed["why"]:
        console.print(f"Why: {changed['why']}", markup=False)
