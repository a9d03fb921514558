"""The report as one HTML file: no script, nothing fetched, for light, dark and paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from serving import words
from serving.admin_client import shown_url
from serving.report.gathered import Gathered
from serving.report.route_part import SIDE_HEADS, RoutePart, route_part
from serving.report.time_chart import Mark
from serving.rollout_tables import number
from serving.store.observations import WINDOWS_KEPT

# A page is read by people.
_MOST_ROWS = 200
_DEPLOYS = {
    "release.deploy": "deployed",
    "release.failed": "failed",
    "release.scale": "resized",
    "release.retire": "to be retired",
    "release.retired": "retired",
    "release.restaff": "workers replaced",
    "release.refill": "loaded again",
}
# Told in sections of their own, or of no operator's doing.
_TOLD = (*_DEPLOYS, "route.set", "leader.won")
# Their subject is a camera, and a page that is mailed names none.
_OF_CAMERAS = "camera."
_ROLLBACKS = ("rollback to revision", "rolls back:")


@dataclass(frozen=True)
class Tile:
    """A figure to be seen first."""

    name: str
    value: str
    kind: str = ""


@dataclass(frozen=True)
class Row:
    """A line of a list of what happened; `kind` is a style."""

    cells: Sequence[str]
    kind: str = ""


@dataclass(frozen=True)
class Listed:
    """What happened, newest first, as far as a page holds it.

    Attributes:
        heads: Of the columns.
        rows: The newest.
        left_out: How many more there are.
    """

    heads: Sequence[str]
    rows: Sequence[Row]
    left_out: int


@dataclass(frozen=True)
class RolloutPart:
    """A rollout with its evidence, as people read it."""

    title: str
    state: str
    kind: str
    lines: Sequence[str]
    evidence: Sequence[Row]


def render(gathered: Gathered, *, url: str, at: datetime) -> str:
    """Return the page.

    Args:
        gathered: What it tells.
        url: Of the server that was asked; what in it is secret stays here.
        at: When, UTC.
    """
    environment = Environment(
        loader=PackageLoader("serving.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    values = {
        "period": gathered.period,
        "lasted": _lasted(gathered.period.seconds),
        "step": _lasted(gathered.period.step_s),
        "url": shown_url(url),
        "at": at,
        "tiles": _tiles(gathered),
        "side_heads": SIDE_HEADS,
        "routes": _routes(gathered),
        "rollouts": [_rollout(one) for one in reversed(gathered.rollouts)],
        "changes": _changes(gathered),
        "deployments": _audited(gathered, "Release", _DEPLOYS),
        "others": _others(gathered),
        "notes": _notes(gathered, at),
        "camera_entries": sum(one["action"].startswith(_OF_CAMERAS) for one in gathered.audit),
    }
    return environment.get_template("report.html.j2").render(values)


def _lasted(seconds: float) -> str:
    for unit, length_s in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length_s:
            value = round(seconds / length_s, 1)
            return f"{value:g} {unit}{'' if value == 1 else 's'}"
    return f"{seconds:g} seconds"


def _routes(gathered: Gathered) -> list[RoutePart]:
    names = {one["name"] for one in gathered.revisions} | set(gathered.traffic.routes())
    deploys = [
        Mark(datetime.fromisoformat(one["at"]), "deploy", f"{one['subject']} deployed")
        for one in gathered.audit
        if one["action"] == "release.deploy"
    ]
    return [route_part(gathered, name, deploys + _marks(gathered, name)) for name in sorted(names)]


def _marks(gathered: Gathered, route: str) -> list[Mark]:
    return [
        Mark(
            datetime.fromisoformat(one["at"]),
            "rollback" if _is_rollback(one) else "change",
            f"revision {one['revision']} by {one['who']}: {one['why']}",
        )
        for one in gathered.changes()
        if one["name"] == route
    ]


def _is_rollback(revision: Mapping[str, Any]) -> bool:
    return str(revision["why"]).startswith(_ROLLBACKS)


def _tiles(gathered: Gathered) -> list[Tile]:
    everything = gathered.traffic.all
    changes = gathered.changes()
    rollbacks = sum(map(_is_rollback, changes))
    deploys = [one["action"] for one in gathered.audit]
    answered = None
    if everything.frames:
        answered = 1 - everything.unanswered / everything.frames
    failed = deploys.count("release.failed")
    return [
        Tile("frames", f"{everything.frames:,}"),
        Tile("answered", words.percent(answered, digits=2)),
        Tile("p50", words.milliseconds(everything.answer_quantile_s(0.5))),
        Tile("p99", words.milliseconds(everything.answer_quantile_s(0.99))),
        Tile("shadow agrees (F1)", words.percent(everything.agreement)),
        Tile("route changes", str(len(changes))),
        Tile("of them rollbacks", str(rollbacks), "bad" if rollbacks else ""),
        Tile(
            f"deployments, {failed} failed" if failed else "deployments",
            str(deploys.count("release.deploy")),
            "bad" if failed else "",
        ),
    ]


def _rollout(one: Mapping[str, Any]) -> RolloutPart:
    kinds = {"rolled_back": "bad", "done": "good"}
    stages = ", ".join(f"{stage:g}" for stage in one["plan"]["stages"])
    weight = "before its first stage" if one["weight"] is None else f"at {one['weight']:g}%"
    breach = next((seen for seen in one["evidence"] if seen["verdict"] == "breach"), None)
    lines = [
        f"Started {_when(one['started'])} by {one['who']}; {weight} of {stages}.",
        f"Why: {one['why']}" if one["why"] else "",
        f"{_when(one['updated'])}: {one['note']}" if one["note"] else "",
    ]
    if breach is not None:
        seen, limit = (number(breach["guardrail"], breach[name]) for name in ("estimate", "limit"))
        lines.append(
            f"Rolled back for {breach['guardrail']}: {seen} seen over {breach['cameras']} cameras, "
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
    shown = partial(number, one["guardrail"])
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


def _changes(gathered: Gathered) -> Listed:
    by_route: dict[str, list[Mapping[str, Any]]] = {}
    for one in gathered.revisions:
        by_route.setdefault(one["name"], []).append(one)
    before = {
        later["revision"]: earlier
        for revisions in by_route.values()
        for earlier, later in pairwise(revisions)
    }
    rows = []
    for one in reversed(gathered.changes()):
        cells = (
            _when(one["at"]),
            one["name"],
            str(one["revision"]),
            _moved(before.get(one["revision"]), one),
            one["who"],
            one["why"],
        )
        rows.append(Row(cells, "bad" if _is_rollback(one) else ""))
    return _listed(("When", "Route", "Revision", "Arms", "Who", "Why"), rows)


def _moved(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str:
    """Return a revision's arms, with what each was before where that is another."""
    was = {arm["name"]: arm for arm in before["arms"]} if before else {}
    gone = [name for name in was if name not in {arm["name"] for arm in now["arms"]}]
    told = [_arm(was.get(arm["name"], arm), arm) for arm in now["arms"]]
    return ", ".join([*told, *(f"{name} taken out" for name in gone)])


def _arm(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    weights = dict.fromkeys((words.weight(was["weight"]), words.weight(now["weight"])))
    releases = dict.fromkeys((was["release"], now["release"]))
    return f"{now['name']} {' → '.join(weights)} ({' → '.join(releases)})"


def _audited(gathered: Gathered, subject: str, actions: Mapping[str, str]) -> Listed:
    rows = [
        Row(
            (_when(one["at"]), one["subject"], actions[one["action"]], one["who"], one["detail"]),
            "bad" if one["action"].endswith(".failed") else "",
        )
        for one in gathered.audit
        if one["action"] in actions
    ]
    return _listed(("When", subject, "What", "Who", "Detail"), rows)


def _others(gathered: Gathered) -> Listed:
    actions = {
        one["action"]: one["action"]
        for one in gathered.audit
        if one["action"] not in _TOLD and not one["action"].startswith(_OF_CAMERAS)
    }
    return _audited(gathered, "Of", actions)


def _notes(gathered: Gathered, at: datetime) -> list[str]:
    """Return what the page does not have, so that nobody takes it for what was not."""
    notes = []
    kept = at.astimezone(UTC) - WINDOWS_KEPT
    if gathered.period.since < kept:
        notes.append(
            f"Traffic is kept for {WINDOWS_KEPT.days} days: the page has none of before "
            f"{kept:%Y-%m-%d %H:%M}."
        )
    if not gathered.audit_complete:
        notes.append(
            f"More was done than the {len(gathered.audit):,} newest entries of the audit log, "
            f"which the page goes by: deployments and all else of before "
            f"{_when(gathered.audit[-1]['at'])} are neither shown nor counted."
        )
    return notes


def _listed(heads: Sequence[str], rows: Sequence[Row]) -> Listed:
    return Listed(heads, rows[:_MOST_ROWS], max(0, len(rows) - _MOST_ROWS))


def _when(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M}"
