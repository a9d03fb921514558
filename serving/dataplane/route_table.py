"""What the data plane knows of the desired state: one frozen table, replaced whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from serving.errors import BackendUnavailable, StaleRoute, UnknownRoute
from serving.store.values import Release, ReleaseKey, Route

DEFAULT_ROUTE = "default"


@dataclass(frozen=True)
class RouteTable:
    """Routes and the releases they name, as of one revision.

    Attributes:
        revision: The store's newest; -1 before the first read.
        routes: By name.
        releases: Every release of the store, by key.
        revisions: Each route's own newest revision, by its name.
        placements: Ready workers by release and backend: what each backend runs, as the controller
            last saw it.
    """

    revision: int = -1
    routes: Mapping[str, Route] = field(default_factory=lambda: MappingProxyType({}))
    releases: Mapping[ReleaseKey, Release] = field(default_factory=lambda: MappingProxyType({}))
    revisions: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    placements: Mapping[ReleaseKey, Mapping[str, int]] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def route(self, name: str) -> Route:
        """Return the route called `name`, "" meaning "default".

        Raises:
            BackendUnavailable: There is no route at all.
            UnknownRoute: There are routes, and none of this name.
        """
        if not self.routes:
            raise BackendUnavailable(
                "no route yet: deploy a release (`understudy deploy`) and set a route "
                "(`understudy route set`)"
            )
        found = self.routes.get(name or DEFAULT_ROUTE)
        if found is None:
            known = ", ".join(sorted(self.routes))
            raise UnknownRoute("route", f"route: no route {name or DEFAULT_ROUTE!r}, only {known}")
        return found

    def release(self, key: ReleaseKey) -> Release:
        """Return the release an arm names.

        Raises:
            StaleRoute: This table does not hold it.
        """
        found = self.releases.get(key)
        if found is None:
            raise StaleRoute(f"the route names {key}, which this gateway does not know yet")
        return found

    def revision_of(self, route: str) -> int:
        """Return the newest revision of one route, by its name; 0 where there is none."""
        return self.revisions.get(route, 0)

    def ready_workers(self, key: ReleaseKey) -> Mapping[str, int]:
        """Return the release's ready workers by backend."""
        return self.placements.get(key, {})

    def names(self, key: ReleaseKey) -> bool:
        """Whether any route may still send requests to the release."""
        return any(key in route.releases() for route in self.routes.values())
