"""The report as one HTML file: no script, nothing fetched, for light, dark and paper."""

from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from serving.admin_client import shown_url
from serving.report.audit_lists import camera_entries, deployments, others
from serving.report.gathered import Gathered
from serving.report.lists import when
from serving.report.rollout_part import rollout_part
from serving.report.route_history import RouteHistory
from serving.report.route_part import SIDE_HEADS, RoutePart, route_part
from serving.report.tiles import tiles
from serving.report.time_chart import Mark
from serving.store.observations import WINDOWS_KEPT


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
    history = RouteHistory(gathered)
    values = {
        "period": gathered.period,
        "lasted": _lasted(gathered.period.seconds),
        "step": _lasted(gathered.period.step_s),
        "url": shown_url(url),
        "at": at,
        "tiles": tiles(gathered, history),
        "side_heads": SIDE_HEADS,
        "routes": _routes(gathered, history),
        "rollouts": [rollout_part(one) for one in reversed(gathered.rollouts)],
        "changes": history.listed(),
        "deployments": deployments(gathered),
        "others": others(gathered),
        "notes": _notes(gathered, at),
        "camera_entries": camera_entries(gathered),
    }
    return environment.get_template("report.html.j2").render(values)


def _lasted(seconds: float) -> str:
    for unit, length_s in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length_s:
            value = round(seconds / length_s, 1)
            return f"{value:g} {unit}{'' if value == 1 else 's'}"
    return f"{seconds:g} seconds"


def _routes(gathered: Gathered, history: RouteHistory) -> list[RoutePart]:
    names = {one["name"] for one in gathered.revisions} | set(gathered.traffic.routes())
    deploys = [
        Mark(datetime.fromisoformat(one["at"]), "deploy", f"{one['subject']} deployed")
        for one in gathered.audit
        if one["action"] == "release.deploy"
    ]
    return [
        route_part(gathered, name, deploys + _marks(gathered, history, name))
        for name in sorted(names)
    ]


def _marks(gathered: Gathered, history: RouteHistory, route: str) -> list[Mark]:
    return [
        Mark(
            datetime.fromisoformat(one["at"]),
            "rollback" if history.is_rollback(one) else "change",
            f"revision {one['revision']} by {one['who']}: {one['why']}",
        )
        for one in gathered.changes()
        if one["name"] == route
    ]


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
            f"{when(gathered.audit[-1]['at'])} are neither shown nor counted."
        )
    return notes
