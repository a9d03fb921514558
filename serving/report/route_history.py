"""What was done to routes: each change, with what was before it."""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from serving import words
from serving.report.gathered import Gathered
from serving.report.lists import Listed, Row, as_list, when

_BACK_TO = re.compile(r"rollback to revision ([0-9]+)(?:: |$)")
# The controller signs its rollouts' changes so; a key may be called anything.
_OF_A_ROLLOUT = re.compile(r"rollout [0-9a-f]{8}")
_SAME = ("arms", "sticky", "timeout_s", "shadow", "fallback")


class RouteHistory:
    """A period's changes of routes.

    Args:
        gathered: Of the period.
    """

    def __init__(self, gathered: Gathered) -> None:
        self._gathered = gathered
        self._known = {one["revision"]: one for one in gathered.revisions}

    def is_rollback(self, revision: Mapping[str, Any]) -> bool:
        """Whether a change went back.

        An operator's words alone make none: the route must be as the revision was that they name,
        where that one is known.
        """
        why = str(revision["why"])
        found = _BACK_TO.match(why)
        if found is not None:
            target = self._known.get(int(found[1]))
            return target is None or _is_same(target, revision)
        by_rollout = _OF_A_ROLLOUT.fullmatch(str(revision["who"])) is not None
        return by_rollout and why.startswith("rolls back:")

    def listed(self) -> Listed:
        """Return the changes, the newest first."""
        by_route: dict[str, list[Mapping[str, Any]]] = {}
        for one in self._gathered.revisions:
            by_route.setdefault(one["name"], []).append(one)
        before = {
            later["revision"]: earlier
            for revisions in by_route.values()
            for earlier, later in pairwise(revisions)
        }
        rows = []
        for one in reversed(self._gathered.changes()):
            cells = (
                when(one["at"]),
                one["name"],
                str(one["revision"]),
                _moved(before.get(one["revision"]), one),
                one["who"],
                one["why"],
            )
            rows.append(Row(cells, "bad" if self.is_rollback(one) else ""))
        return as_list(("When", "Route", "Revision", "Arms", "Who", "Why"), rows)


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one["name"] == other["name"] and all(one.get(f) == other.get(f) for f in _SAME)


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
