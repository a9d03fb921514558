"""The states of a release and the arrows between them.

staged -> loading -> warming -> ready -> live <-> standby -> draining -> retired
   |         |          |         |       |                     ^
   +---------+----------+-> failed|       +---------------------+
                                  +---------------------------->+

A retired or failed release begins again at staged.
"""

from collections.abc import Iterable, Mapping

from serving.errors import InvalidRoute
from serving.store.store import Store
from serving.store.values import Release, ReleaseKey, ReleaseState, Route

ARROWS: dict[ReleaseState, frozenset[ReleaseState]] = {
    ReleaseState.STAGED: frozenset({ReleaseState.LOADING, ReleaseState.FAILED}),
    ReleaseState.LOADING: frozenset({ReleaseState.WARMING, ReleaseState.FAILED}),
    ReleaseState.WARMING: frozenset({ReleaseState.READY, ReleaseState.FAILED}),
    ReleaseState.READY: frozenset({ReleaseState.LIVE, ReleaseState.DRAINING}),
    ReleaseState.LIVE: frozenset({ReleaseState.STANDBY, ReleaseState.DRAINING}),
    ReleaseState.STANDBY: frozenset({ReleaseState.LIVE, ReleaseState.DRAINING}),
    ReleaseState.DRAINING: frozenset({ReleaseState.RETIRED}),
    ReleaseState.RETIRED: frozenset({ReleaseState.STAGED}),
    ReleaseState.FAILED: frozenset({ReleaseState.STAGED}),
}

ON_THE_WAY = frozenset({ReleaseState.STAGED, ReleaseState.LOADING, ReleaseState.WARMING})
"""A deploy is at it, or was when the process ended."""

LOADED = frozenset({ReleaseState.READY, ReleaseState.LIVE, ReleaseState.STANDBY})
"""Answers at once: a route may name it."""


async def advance(store: Store, key: ReleaseKey, to: ReleaseState, reason: str = "") -> Release:
    """Move a release along an arrow.

    Raises:
        ReleaseNotFound: No such release.
        ReleaseBusy: No arrow leads from its state to `to`.
    """
    return await store.move_release(key, to, expect=_before(to), reason=reason)


async def advance_all(store: Store, moves: Mapping[ReleaseKey, ReleaseState]) -> None:
    """Move releases along their arrows, all or none.

    Raises:
        ReleaseNotFound: No such release.
        ReleaseBusy: No arrow leads from the state of one to where it should go.
    """
    if moves:
        await store.move_releases(along_arrows(moves))


def along_arrows(
    moves: Mapping[ReleaseKey, ReleaseState],
) -> dict[ReleaseKey, tuple[ReleaseState, frozenset[ReleaseState]]]:
    """Return where each release goes, with the states from which an arrow leads there."""
    return {key: (to, _before(to)) for key, to in moves.items()}


def _before(to: ReleaseState) -> frozenset[ReleaseState]:
    return frozenset(state for state, after in ARROWS.items() if to in after)


def must_be_loaded(route: Route, known: Iterable[Release]) -> None:
    """Check that every release a route names can answer at once.

    Args:
        route: The wanted state.
        known: All releases.

    Raises:
        InvalidRoute: One is not loaded; the message says what to deploy.
    """
    states = {release.key: release.state for release in known}
    for arm in route.arms:
        state = states.get(arm.release)
        if state not in LOADED:
            is_now = "was never deployed" if state is None else f"is {state}"
            raise InvalidRoute(
                f"arms.{arm.name}.release",
                f"arms.{arm.name}.release: {arm.release} {is_now}; deploy it first: "
                f"understudy deploy model_store/{arm.release}.mar",
            )


async def is_named(store: Store, key: ReleaseKey) -> bool:
    """Tell whether a route names a release: gateways may send to it, whatever its state says."""
    return any(key in one.route.releases() for one in (await store.routes()).values())
