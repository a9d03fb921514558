"""Hands frames of an arm that fails or is full to the route's fallback arm, within bounds."""

from serving.dataplane.admission import Lane
from serving.dataplane.lanes import Lanes
from serving.dataplane.parts import Part
from serving.dataplane.route_table import RouteTable
from serving.dataplane.token_bucket import TokenBucket
from serving.dataplane.upstream import Upstream
from serving.errors import UnderstudyError
from serving.metrics.gateway.faults import FaultMetrics
from serving.store.values import Arm, Release, Route

# Of the fallback arm's places: left for its own traffic.
SPARE = 0.2
# What a quiet hour saves up for: this many requests' worth.
_SAVED_REQUESTS = 100


class Fallback:
    """Who stands in, if anyone may.

    At most the route's budget of its requests is handed over, only to a place that is free now
    with nobody waiting, and only while the fallback arm keeps a share of its places free: a small
    model's traffic on one ten times heavier would sink both.

    Args:
        lanes: Where the fallback arm's places are.
        upstream: Knows whether it is down.
        metrics: Counts what was handed over and what was not.
    """

    def __init__(self, lanes: Lanes, upstream: Upstream, metrics: FaultMetrics) -> None:
        self._lanes = lanes
        self._upstream = upstream
        self._metrics = metrics
        self._budgets: dict[str, tuple[float, TokenBucket]] = {}

    def earn(self, route: Route) -> None:
        """Count a request of the route towards its budget."""
        if route.fallback is not None:
            self._budget(route, route.fallback.budget).earn()

    def hand_over(
        self, part: Part, table: RouteTable, error: UnderstudyError
    ) -> tuple[Part, Lane] | None:
        """Return who stands in and the lane in which a place was taken for it; None: nobody does.

        Must not await: the caller counts the release in the same stretch, see `InFlight`.

        Args:
            part: Who was to answer.
            table: The table as of now.
            error: Why it did not.
        """
        route = table.routes.get(part.route.name)
        arm = _stand_in(part, route)
        if route is None or route.fallback is None or arm is None:
            return None
        taken = self._take(
            table.releases.get(arm.release), self._budget(route, route.fallback.budget)
        )
        if isinstance(taken, str):
            self._metrics.fallbacks_refused.labels(route.name, part.arm.name, taken).inc()
            return None
        self._metrics.fallbacks.labels(route.name, part.arm.name, error.code).inc()
        return part.handed_to(arm, table.release(arm.release), table), taken

    def _take(self, release: Release | None, budget: TokenBucket) -> Lane | str:
        """Return the lane in which a place was taken and paid for, or why not."""
        if release is None or not self._upstream.is_up(release.key):
            return "down"
        lane = self._lanes.of(release)
        if not lane.try_enter(SPARE):
            return "full"
        if not budget.spend():
            lane.leave()
            return "budget"
        return lane

    def _budget(self, route: Route, share: float) -> TokenBucket:
        known = self._budgets.get(route.name)
        if known is None or known[0] != share:
            # It begins empty, so that never more than the budget is handed over.
            most = max(1.0, share * _SAVED_REQUESTS)
            known = self._budgets[route.name] = share, TokenBucket(share=share, most=most)
        return known[1]


def _stand_in(part: Part, route: Route | None) -> Arm | None:
    if route is None or route.fallback is None or part.forced:
        return None
    arm = route.arm(route.fallback.arm)
    same = arm is None or arm.name == part.arm.name or arm.release == part.release.key
    return None if same else arm
