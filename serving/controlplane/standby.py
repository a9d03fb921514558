"""Which releases the routes need loaded: a pure rule over routes, their history and states."""

from collections.abc import Iterable, Mapping, Sequence

from serving.controlplane.releases import LOADED
from serving.store.values import Release, ReleaseKey, ReleaseState, Route, RouteRevision


def settle(
    routes: Iterable[Route],
    history: Mapping[str, Sequence[RouteRevision]],
    releases: Iterable[Release],
) -> dict[ReleaseKey, ReleaseState]:
    """Return the releases that must move, and where to.

    What a route names is live. Of what it no longer names, it keeps what it named last of each
    model as standby, so that going back takes no time; older ones are drained. A release that no
    route has named yet stays ready.

    Args:
        routes: As they stand.
        history: Each route's revisions, newest first, the present one included.
        releases: All of them.
    """
    states = {release.key: release.state for release in releases if release.state in LOADED}
    live = frozenset(key for route in routes for key in route.releases())
    standby = _standby(live, history, states)
    moves: dict[ReleaseKey, ReleaseState] = {}
    for key, state in states.items():
        wanted = _wanted(key, state, live, standby)
        if wanted is not state:
            moves[key] = wanted
    return moves


def _wanted(
    key: ReleaseKey,
    state: ReleaseState,
    live: frozenset[ReleaseKey],
    standby: frozenset[ReleaseKey],
) -> ReleaseState:
    if key in live:
        return ReleaseState.LIVE
    if state is ReleaseState.READY:
        return ReleaseState.READY
    return ReleaseState.STANDBY if key in standby else ReleaseState.DRAINING


def _standby(
    live: frozenset[ReleaseKey],
    history: Mapping[str, Sequence[RouteRevision]],
    states: Mapping[ReleaseKey, ReleaseState],
) -> frozenset[ReleaseKey]:
    was_live = {ReleaseState.LIVE, ReleaseState.STANDBY}
    candidates = {key for key, state in states.items() if state in was_live and key not in live}
    chosen: set[ReleaseKey] = set()
    seen: set[ReleaseKey] = set()
    for revisions in history.values():
        kept_models: set[str] = set()
        for revision in revisions:
            named = revision.route.releases() & candidates
            seen |= named
            chosen |= {key for key in named if key.model not in kept_models}
            kept_models |= {key.model for key in named}
    # The history that was read may be too short for a standby that has waited long.
    models = {key.model for key in chosen}
    return frozenset(chosen | {key for key in candidates - seen if key.model not in models})
