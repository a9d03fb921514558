"""The releases' states brought to what the routes want, and the drains that follow."""

import asyncio
from collections.abc import Iterable, Mapping

from serving.controlplane import releases
from serving.controlplane.draining import Drains
from serving.controlplane.standby import settle
from serving.errors import ReleaseBusy, ReleaseNotFound
from serving.store.desired import Desired
from serving.store.store import Store
from serving.store.values import Release, ReleaseKey, ReleaseState, Route, RouteRevision

# How many revisions of a route are looked through for its standby: each change settles, so that it
# is the last but one where no crash came between.
_HISTORY = 20


class Settlement:
    """Moves releases between live, standby and draining.

    It reads nothing but the store, so that it may be done again after a crash at any point.

    Args:
        store: Fenced; holds routes and releases.
        drains: Takes over what nobody needs any more.
        routing: Held while a route changes.
    """

    def __init__(self, store: Store, drains: Drains, routing: asyncio.Lock) -> None:
        self._store = store
        self._drains = drains
        self._routing = routing

    async def settle(self) -> None:
        """Do `apply` while no route changes."""
        async with self._routing:
            await self.apply()

    async def apply(self) -> None:
        """Move every release to where the routes want it, and start the drains that follow.

        Needs `routing`.
        """
        found = await self._store.desired()
        moves = await self._moves([one.route for one in found.routes.values()], found)
        await releases.advance_all(self._store, moves)
        self._drain(found.releases, moves, found.revision)

    async def set_route(
        self, route: Route, found: Desired, *, who: str, why: str, expected_revision: int | None
    ) -> RouteRevision:
        """Set a route and move the releases with it, in one transaction; then start the drains.

        Needs `routing`.

        Args:
            route: The wanted state.
            found: The desired state before, read while `routing` was held.
            who: Name of the key that asks.
            why: The operator's words.
            expected_revision: As in `Controller.set_route`.

        Raises:
            RouteConflict: The route is at another revision than expected.
        """
        wanted = {name: one.route for name, one in found.routes.items()} | {route.name: route}
        moves = await self._moves(wanted.values(), found)
        added = await self._store.change_route(
            route,
            who=who,
            why=why,
            expected_revision=expected_revision,
            moves=releases.along_arrows(moves),
        )
        self._drain(found.releases, moves, added.revision)
        return added

    async def _moves(
        self, wanted: Iterable[Route], found: Desired
    ) -> dict[ReleaseKey, ReleaseState]:
        history = {name: await self._store.history(name, _HISTORY) for name in found.routes}
        return settle(wanted, history, found.releases)

    def _drain(
        self,
        known: Iterable[Release],
        moves: Mapping[ReleaseKey, ReleaseState],
        revision: int,
    ) -> None:
        for release in known:
            if moves.get(release.key, release.state) is ReleaseState.DRAINING:
                self._drains.start(release.key, revision)

    async def retire(self, key: ReleaseKey, *, who: str, why: str) -> Release:
        """Begin to drain a release that no route names; see `Controller.retire`."""
        async with self._routing:
            release = await self._store.release(key)
            if release is None:
                raise ReleaseNotFound(f"no release {key} here; `understudy route show` lists them")
            if release.state in {ReleaseState.DRAINING, ReleaseState.RETIRED}:
                return release
            # Asked of the routes: the state follows them, and may not have yet.
            if await releases.is_named(self._store, key):
                raise ReleaseBusy(f"{key} is live: take it out of its route first")
            retiring = await releases.advance(self._store, key, ReleaseState.DRAINING, why)
            await self._store.audit(who, "release.retire", str(key), why)
            self._drains.start(key, await self._store.latest_revision())
            return retiring
