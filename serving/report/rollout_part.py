"""A rollout with its evidence, as people read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from serving.report.lists import Row, when
from serving.words import guardrail_value


@dataclass(frozen=True)
class RolloutPart:
    """A rollout with its evidence, as people read it."""

    title: str
    state: str
    kind: str
    lines: Sequence[str]
    evidence: Sequence[Row]


def rollout_part(one: Mapping[str, Any]) -> RolloutPart:
    """Return what a page tells of a rollout.

    Args:
        one: As the admin API tells it.
    """
    kinds = {"rolled_back": "bad", "done": "good"}
    stages = ", ".join(f"{stage:g}" for stage in one["plan"]["stages"])
    weight = "before its first stage" if one["weight"] is None else f"at {one['weight']:g}%"
    breach = next((seen for seen in one["evidence"] if seen["verdict"] == "breach"), None)
    lines = [
        f"Started {when(one['started'])} by {one['who']}; {weight} of {stages}.",
        f"Why: {one['why']}" if one["why"] else "",
        f"{when(one['updated'])}: {one['note']}" if one["note"] else "",
    ]
    if breach is not None:
        seen, limit = (
            guardrail_value(breach["guardrail"], breach[name]) for name in ("estimate", "limit")
        )
        # Where somebody had changed the route by then, nothing was rolled back.
        done = "Rolled back for" if one["state"] == "rolled_back" else "A guardrail broke,"
        lines.append(
            f"{done} {breach['guardrail']}: {seen} seen over {breach['cameras']} cameras, "
            f"the limit is {limit}."
        )
    return RolloutPart(
        title=f"{one['arm']} of route {one['route']} ({one['id']})",
        state=one["state"].replace("_", " "),
        kind=kinds.get(one["state"], ""),
        lines=[line for line in lines if line],
        evidence=[_seen(seen) for seen in one["evidence"]],
    )


def _seen(one: Mapping[str, Any]) -> Row:
    shown = partial(guardrail_value, one["guardrail"])
    cells = (
        f"{one['stage']:g}%",
        one["guardrail"],
        shown(one["estimate"]),
        shown(one["limit"]),
        str(one["cameras"]),
        f"{one['p_value']:.2g}",
        f"{one['alpha']:.2g}",
        one["verdict"],
    )
    return Row(cells, "bad" if one["verdict"] == "breach" else "")
