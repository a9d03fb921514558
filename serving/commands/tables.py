"""What the commands print: tables that fit 80 columns."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rich.table import Table

_STATE_STYLES = {
    "live": "bold green",
    "standby": "green",
    "ready": "cyan",
    "failed": "bold red",
    "draining": "yellow",
}


def releases(found: Iterable[Mapping[str, Any]]) -> Table:
    """Return a table of releases."""
    table = plain_table("Release", "Role", "State", "Workers", "Batch", "Moved")
    for one in found:
        state = f"[{_STATE_STYLES.get(one['state'], 'dim')}]{one['state']}[/]"
        counts = (str(one["workers"]), str(one["batch_size"]))
        table.add_row(one["release"], one["role"], state, *counts, when(one["updated"]))
    return table


def routes(found: Iterable[Mapping[str, Any]]) -> Table:
    """Return a table of routes, a line an arm."""
    table = plain_table("Route", "Arm", "Release", "Weight", "Revision", "Set by")
    for one in found:
        for place, arm in enumerate(one["arms"]):
            first = place == 0
            table.add_row(
                one["name"] if first else "",
                arm["name"],
                arm["release"],
                f"{arm['weight']:g}%",
                str(one["revision"]) if first else "",
                one["who"] if first else "",
            )
    return table


def extras(route: Mapping[str, Any]) -> list[str]:
    """Return what a route has beside its arms, where it is not the usual, a line each."""
    lines = []
    if route["sticky"] != "camera":
        lines.append(f"{route['name']} splits by {route['sticky']}")
    if route["shadow"]:
        rate = f"{100 * route['shadow']['rate']:g}%"
        lines.append(f"{route['name']}: {route['shadow']['arm']} shadows {rate} of the frames")
    if route["fallback"]:
        budget = f"{100 * route['fallback']['budget']:g}%"
        arm = route["fallback"]["arm"]
        lines.append(f"{route['name']}: {arm} stands in for up to {budget} of the requests")
    return lines


def arms(revision: Mapping[str, Any]) -> list[str]:
    """Return a revision's arms as they are typed: NAME=MODEL-VERSION:WEIGHT."""
    return [f"{arm['name']}={arm['release']}:{arm['weight']:g}" for arm in revision["arms"]]


def history(found: Iterable[Mapping[str, Any]]) -> Table:
    """Return a table of a route's revisions."""
    table = plain_table("Revision", "When", "Who", "Arms", "Why")
    table.columns[3].no_wrap = True
    for one in found:
        table.add_row(
            str(one["revision"]), when(one["at"]), one["who"], "\n".join(arms(one)), one["why"]
        )
    return table


def keys(found: Iterable[Mapping[str, Any]]) -> Table:
    """Return a table of API keys."""
    known = list(found)
    limits = ["Frames/s"] if any(one.get("frames_per_second") for one in known) else []
    table = plain_table("Id", "Name", "Scope", *limits, "Made", "Ends")
    for one in known:
        ends = f"[red]revoked {when(one['revoked'])}[/]" if one["revoked"] else None
        ends = ends or (when(one["expires"]) if one["expires"] else "never")
        limit = one.get("frames_per_second")  # a server of before tells none
        shown = [f"{limit:g}" if limit else ""] if limits else []
        table.add_row(one["id"], one["name"], one["scope"], *shown, when(one["created"]), ends)
    return table


def plain_table(*columns: str) -> Table:
    """Return a table without lines; what must be copied is never cut, words may wrap."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def when(text: str) -> str:
    """Return an ISO time as this machine's, to the minute."""
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M}"
