"""What an operator asks of routes: set, promote, roll back."""

import asyncio

import structlog

from serving.controlplane import releases, rollback
from serving.controlplane.settlement import Settlement
from serving.errors import UnknownArm, UnknownRoute
from serving.store.store import Store
from serving.store.values import Route, RouteRevision

_log = structlog.get_logger(__name__)

# How far back a rollback looks.
_HISTORY = 200


class RouteChanges:
    """Changes routes, one at a time, and moves the releases to where the change wants them.

    Args:
        store: Fenced; holds routes and releases.
        settlement: Moves the releases.
        routing: Held while a route changes.
    """

    def __init__(self, store: Store, settlement: Settlement, routing: asyncio.Lock) -> None:
        self._store = store
        self._settlement = settlement
        self._routing = routing

    async def set(
        self, route: Route, *, who: str, why: str, expected_revision: int | None = None
    ) -> RouteRevision:
        """Give a route another desired state; see `Controller.set_route`."""
        async with self._routing:
            return await self._put(route, who, why, expected_revision)

    async def promote(self, name: str, arm: str, *, who: str, why: str) -> RouteRevision:
        """Give one arm of a route everything; see `Controller.promote`."""
        async with self._routing:
            present = (await self._present(name)).route
            names = [one.name for one in present.arms]
            if arm not in names:
                raise UnknownArm("arm", f"arm: route {name!r} has {', '.join(names)}, no {arm!r}")
            arms = tuple(
                one.model_copy(update={"weight": 100.0 if one.name == arm else 0.0})
                for one in present.arms
            )
            return await self._put(present.model_copy(update={"arms": arms}), who, why, None)

    async def rollback(
        self, name: str, *, who: str, why: str, revision: int | None
    ) -> RouteRevision:
        """Go back to an earlier revision; see `Controller.rollback`."""
        async with self._routing:
            await self._present(name)
            history = await self._store.history(name, _HISTORY)
            states = {release.key: release.state for release in await self._store.releases()}
            found = rollback.target(history, states, revision)
            words = f"rollback to revision {found.revision}" + (f": {why}" if why else "")
            return await self._put(found.route, who, words, None)

    async def _present(self, name: str) -> RouteRevision:
        routes = await self._store.routes()
        if name not in routes:
            known = ", ".join(sorted(routes)) or "none yet"
            raise UnknownRoute("route", f"route: no route {name!r}; there is {known}")
        return routes[name]

    async def _put(
        self, route: Route, who: str, why: str, expected_revision: int | None
    ) -> RouteRevision:
        desired = await self._store.desired()
        releases.must_be_loaded(route, desired.releases)
        present = desired.routes.get(route.name)
        if present is not None and present.route == route and expected_revision is None:
            return present
        added = await self._settlement.set_route(
            route, desired, who=who, why=why, expected_revision=expected_revision
        )
        _log.info("route_set", route=route.name, revision=added.revision, who=who, why=why)
        return added
