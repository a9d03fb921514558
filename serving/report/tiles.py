"""The figures that are to be seen first."""

from dataclasses import dataclass

from serving import words
from serving.report.gathered import Gathered
from serving.report.route_history import RouteHistory


@dataclass(frozen=True)
class Tile:
    """A figure to be seen first."""

    name: str
    value: str
    kind: str = ""


def tiles(gathered: Gathered, history: RouteHistory) -> list[Tile]:
    """Return them.

    Args:
        gathered: The period.
        history: Its changes of routes.
    """
    everything = gathered.traffic.all
    changes = gathered.changes()
    rollbacks = sum(map(history.is_rollback, changes))
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
        Tile("deployed", str(deploys.count("release.deploy"))),
        Tile("failed to deploy", str(failed), "bad" if failed else ""),
    ]
