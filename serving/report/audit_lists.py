"""What else was done, by the audit log."""

from collections.abc import Mapping

from serving.report.gathered import Gathered
from serving.report.lists import Listed, Row, as_list, when

_DEPLOYS = {
    "release.deploy": "deployed",
    "release.failed": "failed to deploy",
    "release.refused": "refused to deploy",
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


def deployments(gathered: Gathered) -> Listed:
    """Return what was done to releases."""
    return _audited(gathered, "Release", _DEPLOYS)


def others(gathered: Gathered) -> Listed:
    """Return what is told nowhere else, but for cameras."""
    actions = {
        one["action"]: one["action"]
        for one in gathered.audit
        if one["action"] not in _TOLD and not one["action"].startswith(_OF_CAMERAS)
    }
    return _audited(gathered, "Of", actions)


def camera_entries(gathered: Gathered) -> int:
    """Return how often cameras were described or forgotten."""
    return sum(one["action"].startswith(_OF_CAMERAS) for one in gathered.audit)


def _audited(gathered: Gathered, subject: str, actions: Mapping[str, str]) -> Listed:
    rows = [
        Row(
            (when(one["at"]), one["subject"], actions[one["action"]], one["who"], one["detail"]),
            "bad" if one["action"].endswith(".failed") else "",
        )
        for one in gathered.audit
        if one["action"] in actions
    ]
    return as_list(("When", subject, "What", "Who", "Detail"), rows)
