"""The commands `understudy rollout ...`."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console

from serving.admin_client import AdminClient
from serving.commands import rollout_tables
from serving.commands.admin_session import admin_session
from serving.commands.rollout_arguments import (
    Alpha,
    Cameras,
    HoldTime,
    MaxErrorIncrease,
    MaxP99Ratio,
    MinAgreement,
    Samples,
    ShadowRate,
    Stages,
    read_plan,
)
from serving.commands.server import Server, asks_server

Why = Annotated[str, typer.Option("--why", help="Your words, kept with the rollout.")]
RolloutId = Annotated[str, typer.Argument(metavar="ROLLOUT", help="Its id, as `show` lists it.")]

rollout_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="""Raise an arm of a route step by step, watched by guardrails that roll it back.

    A rollout gives the arm a few cameras, then more, and looks at each stage whether it fails more
    frames than the other arms, is slower, or sees other things (where the route has a shadow). Each
    camera counts once, however many frames it sends, and looking often raises no false alarm. A
    breach sets the route back to what it was, at once and with the evidence; the release stays
    loaded. Changing the route by hand cancels the rollout: it never fights you.""",
)


@rollout_app.command("start")
@asks_server
def start(  # noqa: PLR0917 - the parameters of a Typer command are its options
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="Name of the route.")],
    arm: Annotated[str, typer.Argument(metavar="ARM", help="The route's arm to raise.")],
    stages: Stages = None,
    hold: HoldTime = None,
    cameras: Cameras = None,
    samples: Samples = None,
    max_error_increase: MaxErrorIncrease = None,
    max_p99_ratio: MaxP99Ratio = None,
    min_agreement: MinAgreement = None,
    alpha: Alpha = None,
    shadow_rate: ShadowRate = None,
    why: Why = "",
    *,
    server: Server,
) -> None:
    """Raise an arm by stages: 1, 5, 25, 50, 100 percent, or your own.

    The arm must be on the route, if only with weight 0. A stage that would give it fewer than five
    cameras is skipped.

    [bold]Examples[/]

      understudy route set default teacher=100 student=student-1.0:0

      understudy rollout start default student --shadow-rate 0.1 --why "first student"

      understudy rollout start default student --stages 10,50 --hold 15m --min-agreement 0.9
    """
    body = read_plan(
        route,
        arm,
        stages=stages,
        hold={"seconds": hold, "cameras": cameras, "samples": samples},
        guardrails={
            "max_error_increase": max_error_increase,
            "max_p99_ratio": max_p99_ratio,
            "min_agreement": min_agreement,
            "alpha": alpha,
        },
        shadow_rate=shadow_rate,
    )
    with admin_session(server) as admin:
        _tell(admin.call("POST", "/rollouts", body | {"why": why}))


@rollout_app.command("show")
@asks_server
def show(
    rollout: Annotated[
        str | None,
        typer.Argument(
            metavar="[ROLLOUT|ROUTE]", help="An id, or a route for its newest; without: all."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 10,
    *,
    server: Server,
) -> None:
    """Show the rollouts, or one with what its guardrails have seen.

    A look breaches where its p is at most what it needs: so small that, over all guardrails, stages
    and looks of a rollout together, a good arm is rolled back in at most 5 of 100 rollouts.

    [bold]Examples[/]

      understudy rollout show

      understudy rollout show default

      understudy rollout show 3f9c2a1b
    """
    with admin_session(server) as admin:
        if rollout is not None:
            of_the_route = admin.call("GET", "/rollouts", None, route=rollout, limit=1)
            _tell(of_the_route[0] if of_the_route else _one(admin, rollout))
            return
        found = admin.call("GET", "/rollouts", None, limit=limit)
    if found:
        Console().print(rollout_tables.rollouts(found))
    else:
        Console().print("No rollout yet: understudy rollout start ROUTE ARM")


@rollout_app.command("pause")
@asks_server
def pause(rollout: RolloutId, why: Why = "", *, server: Server) -> None:
    """Stay at the present stage; the guardrails go on watching.

    [bold]Example[/]

      understudy rollout pause 3f9c2a1b --why "until the shift changes"
    """
    _ask(server, rollout, "pause", why)


@rollout_app.command("resume")
@asks_server
def resume(rollout: RolloutId, why: Why = "", *, server: Server) -> None:
    """Let a paused rollout go on.

    [bold]Example[/]

      understudy rollout resume 3f9c2a1b
    """
    _ask(server, rollout, "resume", why)


@rollout_app.command("cancel")
@asks_server
def cancel(
    rollout: RolloutId,
    back: Annotated[
        bool, typer.Option("--rollback", help="Set the weights back to what they were before it.")
    ] = False,
    why: Why = "",
    *,
    server: Server,
) -> None:
    """End a rollout; the weights stay as they are now, or go back with --rollback.

    [bold]Examples[/]

      understudy rollout cancel 3f9c2a1b --why "half the cameras will do"

      understudy rollout cancel 3f9c2a1b --rollback
    """
    _ask(server, rollout, "rollback" if back else "cancel", why)


def _one(admin: AdminClient, rollout: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = admin.call("GET", f"/rollouts/{quote(rollout)}")
    return found


def _ask(server: Server, rollout: str, what: str, why: str) -> None:
    with admin_session(server) as admin:
        _tell(admin.call("POST", f"/rollouts/{quote(rollout)}/{what}", {"why": why}))


def _tell(rollout: Mapping[str, Any]) -> None:
    console = Console()
    console.print(
        f"Rollout [bold]{rollout['id']}[/]: {rollout['arm']} of route {rollout['route']}, "
        f"{rollout_tables.state(rollout)} at {rollout_tables.weight(rollout)} of "
        f"{', '.join(f'{one:g}' for one in rollout['plan']['stages'])}",
        highlight=False,
    )
    for line in (rollout["why"], rollout["note"]):
        if line:
            console.print(line, markup=False, highlight=False)
    if rollout["evidence"]:
        console.print()
        console.print(rollout_tables.evidence(rollout["evidence"]))
