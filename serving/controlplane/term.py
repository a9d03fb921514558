"""What one leader works with, from the moment it holds the lease until it loses it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from serving.controlplane.archives import ArchiveStore
from serving.controlplane.deployer import Deployer
from serving.controlplane.draining import Drains
from serving.controlplane.gone import Silence
from serving.controlplane.keeper import Keeper, Loaded, tell_nobody
from serving.controlplane.leadership import Claim
from serving.controlplane.mender import Mender
from serving.controlplane.one_each import OneEach
from serving.controlplane.reconciler import Reconciler
from serving.controlplane.route_changes import RouteChanges
from serving.controlplane.settlement import Settlement
from serving.store.store import Store
from serving.torchserve.roster import Roster


@dataclass(frozen=True)
class Term:
    """The parts of a control plane, all on a store that is fenced by the lease's epoch.

    Attributes:
        claim: The lease.
        store: Fenced.
        routes: Changes routes.
        deployer: Loads releases.
        drains: Removes them.
        settlement: Moves them to where the routes want them.
        reconciler: Keeps all at what the store wants.
    """

    claim: Claim
    store: Store
    routes: RouteChanges
    deployer: Deployer
    drains: Drains
    settlement: Settlement
    reconciler: Reconciler


@asynccontextmanager
async def open_term(
    store: Store,
    archives: ArchiveStore,
    backends: Roster,
    claim: Claim,
    *,
    silent_after_s: float,
    period_s: float,
    backend_timeout_s: float,
    loaded: Loaded = tell_nobody,
) -> AsyncIterator[Term]:
    """Begin a term; its drains stop with it, and the next one takes them up.

    Args:
        store: Desired state; not fenced.
        archives: Private copies.
        backends: All of the deployment, as of now.
        claim: The lease.
        silent_after_s: A gateway whose heartbeats stood still for so long counts as gone.
        period_s: Seconds between two reconciliations that nothing asked for.
        backend_timeout_s: How long a deploy waits for a backend that is down.
        loaded: Told of each registration.
    """
    fenced = store.fenced(claim.epoch)
    # Routes never wait for a release that is loading.
    routing = asyncio.Lock()
    keepers = OneEach(backends, lambda one: Keeper(one, fenced, claim.confirm, loaded))
    deployer = Deployer(fenced, archives, keepers, routing, backend_timeout_s=backend_timeout_s)
    drains = Drains(fenced, keepers, archives, deployer.one_at_a_time, Silence(silent_after_s))
    settlement = Settlement(fenced, drains, routing)
    reconciler = Reconciler(
        fenced,
        archives,
        deployer=deployer,
        settlement=settlement,
        drains=drains,
        menders=OneEach(keepers, lambda one: Mender(one, fenced, archives)),
        knows_all=lambda: backends.complete,
        confirm=claim.confirm,
        period_s=period_s,
    )
    try:
        routes = RouteChanges(fenced, settlement, routing)
        yield Term(claim, fenced, routes, deployer, drains, settlement, reconciler)
    finally:
        await drains.close()
