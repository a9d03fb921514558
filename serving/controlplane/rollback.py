"""Where a rollback leads: a pure choice from a route's history."""

from collections.abc import Mapping, Sequence

from serving.controlplane.releases import LOADED
from serving.errors import NothingToRollBackTo
from serving.store.values import ReleaseKey, ReleaseState, RouteRevision


def target(
    history: Sequence[RouteRevision],
    states: Mapping[ReleaseKey, ReleaseState],
    revision: int | None = None,
) -> RouteRevision:
    """Return the newest earlier revision that differs and whose releases are loaded.

    Args:
        history: The route's revisions, newest first; at least the present one.
        states: Of all releases.
        revision: Go back to this one and to no other; None: the rule above.

    Raises:
        NothingToRollBackTo: There is none; the message says what to deploy again.
    """
    present, *earlier = history
    wanted = [
        one
        for one in earlier
        if one.route != present.route and (revision is None or one.revision == revision)
    ]
    for one in wanted:
        if not _unloaded(one, states):
            return one
    name = present.route.name
    if not wanted:
        which = "no earlier, different revision" if revision is None else f"no revision {revision}"
        raise NothingToRollBackTo(
            f"route {name!r} has {which} to go back to; `understudy route history {name}` shows all"
        )
    missing = ", ".join(sorted(map(str, _unloaded(wanted[0], states))))
    raise NothingToRollBackTo(
        f"route {name!r}: revision {wanted[0].revision} needs {missing}, no longer loaded; "
        f"redeploy first: understudy deploy model_store/{missing.split(', ')[0]}.mar"
    )


def _unloaded(
    revision: RouteRevision, states: Mapping[ReleaseKey, ReleaseState]
) -> frozenset[ReleaseKey]:
    return frozenset(key for key in revision.route.releases() if states.get(key) not in LOADED)
