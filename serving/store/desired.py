"""All that gateways act by, as of one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from serving.store import generation, placements, releases, routes
from serving.store.values import Release, ReleaseKey, RouteRevision


@dataclass(frozen=True)
class Desired:
    """The desired state.

    Attributes:
        generation: Grows with every change of what follows.
        routes: Each route's newest revision, by its name.
        releases: All releases.
        placements: The ready workers of each release on each backend, by backend.
    """

    generation: int
    routes: Mapping[str, RouteRevision]
    releases: Sequence[Release]
    placements: Mapping[str, Mapping[ReleaseKey, int]]

    @property
    def revision(self) -> int:
        """The newest revision of all routes; 0 where there is none."""
        return max((found.revision for found in self.routes.values()), default=0)


async def desired(connection: AsyncConnection) -> Desired:
    """Return the desired state, read in one transaction: no release that a route names lacks."""
    return Desired(
        generation=await generation.current(connection),
        routes=await routes.newest(connection),
        releases=await releases.every(connection),
        placements=await placements.every(connection),
    )
