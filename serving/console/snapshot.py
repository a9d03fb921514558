"""The deployment as it stands: what every page is drawn from, read once for everybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from serving.store.desired import Desired
from serving.store.rollouts_values import Rollout
from serving.store.store import Store
from serving.store.values import GatewayStatus, Lease, Release, ReleaseKey, ReleaseState


@dataclass(frozen=True)
class Snapshot:
    """One moment, but for what happened while it was read.

    Attributes:
        now: UTC, by the store's clock.
        desired: Routes, releases and placements.
        rollouts: Those under way, by route.
        gateways: Their last heartbeats.
        lease: Who leads; None: nobody ever has.
    """

    now: datetime
    desired: Desired
    rollouts: dict[str, Rollout]
    gateways: Sequence[GatewayStatus]
    lease: Lease | None

    def states(self) -> dict[ReleaseKey, ReleaseState]:
        """Return the state of each release."""
        return {one.key: one.state for one in self.desired.releases}

    def release(self, key: ReleaseKey) -> Release | None:
        """Return a release, or None."""
        return next((one for one in self.desired.releases if one.key == key), None)

    def workers(self, key: ReleaseKey) -> dict[str, int]:
        """Return how many of a release's workers are ready, by backend."""
        return {name: on[key] for name, on in self.desired.placements.items() if key in on}


async def snapshot(store: Store) -> Snapshot:
    """Read the deployment."""
    return Snapshot(
        desired=await store.desired(),
        rollouts={one.route: one for one in await store.rollouts_under_way()},
        gateways=await store.gateways(),
        lease=await store.lease(),
        # The last: nothing that was read is of after it.
        now=await store.now(),
    )
