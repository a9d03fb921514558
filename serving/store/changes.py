"""A route's change together with what it moves: the two are never apart."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from sqlalchemy.ext.asyncio import AsyncConnection

from serving.store import releases, routes
from serving.store.values import ReleaseKey, ReleaseState, Route, RouteRevision


async def change_route(
    connection: AsyncConnection,
    route: Route,
    *,
    who: str,
    why: str,
    expected_revision: int | None,
    moves: Mapping[ReleaseKey, tuple[ReleaseState, AbstractSet[ReleaseState]]],
) -> RouteRevision:
    """Add a revision of a route, and give releases the states that it wants them to have.

    Args:
        connection: In a write transaction.
        route: The wanted state.
        who: Name of the key that asks.
        why: The operator's words.
        expected_revision: As in `routes.put`.
        moves: As `releases.move_all`.

    Raises:
        RouteConflict: Someone else changed the route meanwhile.
        ReleaseNotFound: No release has a name and version that should move.
        ReleaseBusy: One that should move is in another state.
    """
    added = await routes.put(
        connection, route, who=who, why=why, expected_revision=expected_revision
    )
    await releases.move_all(connection, moves)
    return added
