"""What the rollout commands print: tables that fit 80 columns."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from serving.commands.tables import plain_table, when
from serving.words import guardrail_value

_STATE_STYLES = {"running": "cyan", "done": "bold green", "rolled_back": "bold red"}


def rollouts(found: Iterable[Mapping[str, Any]]) -> Table:
    """Return a table of rollouts, newest first."""
    table = plain_table("Rollout", "Route", "Arm", "State", "Weight", "Started", "By")
    for one in found:
        table.add_row(
            one["id"],
            one["route"],
            one["arm"],
            state(one),
            weight(one),
            when(one["started"]),
            one["who"],
        )
    return table


def evidence(found: Iterable[Mapping[str, Any]]) -> Table:
    """Return a table of what the guardrails saw, the newest look of each stage."""
    table = plain_table("Stage", "Guardrail", "Seen", "Limit", "Cameras", "p", "needs", "Verdict")
    for one in found:
        style = "bold red" if one["verdict"] == "breach" else "green"
        table.add_row(
            f"{one['stage']:g}%",
            one["guardrail"],
            guardrail_value(one["guardrail"], one["estimate"]),
            guardrail_value(one["guardrail"], one["limit"]),
            str(one["cameras"]),
            f"{one['p_value']:.2g}",
            f"{one['alpha']:.2g}",
            f"[{style}]{one['verdict']}[/]",
        )
    return table


def state(rollout: Mapping[str, Any]) -> str:
    """Return a rollout's state as markup."""
    style = _STATE_STYLES.get(rollout["state"], "yellow")
    return f"[{style}]{rollout['state'].replace('_', ' ')}[/]"


def weight(rollout: Mapping[str, Any]) -> str:
    """Return the weight of a rollout's stage; "-" before the first."""
    return "-" if rollout["weight"] is None else f"{rollout['weight']:g}%"
