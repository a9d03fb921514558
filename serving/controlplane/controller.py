"""What an operator moves: releases and routes. One controller of a deployment leads."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from serving.controlplane.archives import ArchiveStore
from serving.controlplane.deployer import BACKEND_TIMEOUT_S
from serving.controlplane.finishing import finish, until_one_ends
from serving.controlplane.gone import SILENT_AFTER_S
from serving.controlplane.keeper import Loaded, tell_nobody
from serving.controlplane.leadership import LEASE_TTL_S, Claim, Leadership
from serving.controlplane.rollout_routes import Pick
from serving.controlplane.rollouts import Rollouts
from serving.controlplane.term import Term, open_term
from serving.controlplane.wanted import Wanted
from serving.errors import (
    BackendUnavailable,
    LeaseLost,
    UnderstudyError,
    UpstreamError,
)
from serving.store.store import Store
from serving.store.values import (
    AUTO,
    Release,
    ReleaseKey,
    Route,
    RouteRevision,
)
from serving.torchserve.backend import Backend
from serving.torchserve.registration import Registration
from serving.torchserve.roster import Roster

_log = structlog.get_logger(__name__)

# An operator looks on: a machine that is cut off does not even refuse.
_LOOK_S = 5.0


class Controller:
    """Moves releases and routes, and keeps every TorchServe at what the store wants.

    An async context manager: entering competes for the leadership. Where it is free, this one leads
    from then on, and `taken_up` tells when it is through with what an earlier leader has left; else
    it waits in the background, and refuses to move anything meanwhile.

    Args:
        store: Desired state.
        archives: Private copies; all backends load from them.
        backends: Every TorchServe of the deployment; a roster where they come and go.
        holder: Who leads here; a controller that replaces another takes its name, and leads at
            once.
        silent_after_s: A gateway whose heartbeats stood still for so long, in seconds, counts as
            gone: its lease plus the longest deadline.
        reconcile_s: Seconds between two reconciliations that nothing asked for.
        lease_ttl_s: After a leader's death another leads at the latest after so many seconds.
        backend_timeout_s: How long a deploy waits for a backend that is down.
        pick: Which arm of a route answers a camera; None: rollouts go by the weights alone.
        loaded: Told of each release that a backend has loaded.
    """

    def __init__(
        self,
        store: Store,
        archives: ArchiveStore,
        backends: Sequence[Backend],
        *,
        holder: str,
        silent_after_s: float = SILENT_AFTER_S,
        reconcile_s: float = 2.0,
        lease_ttl_s: float = LEASE_TTL_S,
        backend_timeout_s: float = BACKEND_TIMEOUT_S,
        pick: Pick | None = None,
        loaded: Loaded = tell_nobody,
    ) -> None:
        self._store = store
        self._archives = archives
        self._backends = backends if isinstance(backends, Roster) else Roster(backends)
        self._holder = holder
        self._silent_after_s = silent_after_s
        self._reconcile_s = reconcile_s
        self._backend_timeout_s = backend_timeout_s
        self._leadership = Leadership(store, holder, ttl_s=lease_ttl_s)
        self._pick = pick
        self._loaded = loaded
        self._term: Term | None = None
        self._rollouts: Rollouts | None = None
        self._looked = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        claim = await self._leadership.try_acquire()
        self._loop = asyncio.create_task(self._lead(claim), name="controller")
        if claim is None:
            self._looked.set()
        return self

    async def taken_up(self) -> None:
        """Wait until this controller, if it leads, has looked at each backend and filled it."""
        await self._looked.wait()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    @property
    def leads(self) -> bool:
        """Whether this controller moves things now."""
        return self._term is not None

    @property
    def store(self) -> Store:
        """The store as the leader writes to it: fenced, so that it refuses one that was replaced.

        Raises:
            BackendUnavailable: Another controller leads.
        """
        return self._leading().store

    @property
    def rollouts(self) -> Rollouts:
        """The rollouts of the deployment.

        Raises:
            BackendUnavailable: Another controller leads.
        """
        if self._rollouts is None:
            raise self._not_leading()
        return self._rollouts

    def wake(self, backend: str | None = None) -> None:
        """Reconcile now: a backend, or any of them, was started anew."""
        if self._term is not None:
            self._term.reconciler.wake(backend)

    @property
    def is_filled(self) -> bool:
        """Whether every backend runs what it should, as far as that can be loaded."""
        return self._term is not None and self._term.reconciler.is_filled

    async def deploy(
        self,
        path: Path,
        *,
        workers: int | None = None,
        batch_size: int = 8,
        batch_delay_ms: int = 0,
        threads: int | None = None,
        variant: str = AUTO,
        who: str,
    ) -> Release:
        """Take an archive, load it and warm it on every backend, or on none.

        What serves now goes on serving whatever happens.

        The same archive a second time changes nothing but the number of workers.

        Args:
            path: NAME-VERSION.mar in the model store.
            workers: How many processes it runs on; None: one, and where the release is loaded
                already, as many as it has.
            batch_size: Largest batch TorchServe forms for it.
            batch_delay_ms: How long a worker waits for a batch to fill.
            threads: Of a run of its model; None: the workers of a machine share its cores.
            variant: Which of its card's variants the workers serve; "auto": the fastest that
                answers the golden frames rightly, found by each machine.
            who: Name of the key that asks.

        Returns:
            The release, ready for a route (or live or standby, if it was loaded already).

        Raises:
            ArchiveRejected: It is unsigned, altered, incomplete or not one of ours.
            ReleaseConflict: Another archive had its name and version before.
            InvalidField: Its card has no such variant, or so many workers do not fit into a
                machine's memory.
            ReleaseBusy: It is draining, or loaded with another batch, other threads or another
                variant.
            DeployFailed: It did not load, or a golden frame was answered wrongly; the message names
                the backend.
            BackendUnavailable: Another controller leads.
        """
        deployer = self._leading().deployer
        wanted = Wanted(workers or 1, batch_size, batch_delay_ms, threads, variant)
        return await deployer.deploy(path, wanted=wanted, who=who, resizes=workers is not None)

    async def set_route(
        self, route: Route, *, who: str, why: str, expected_revision: int | None = None
    ) -> RouteRevision:
        """Give a route another desired state; one that it has already changes nothing.

        Args:
            route: The wanted state.
            who: Name of the key that asks.
            why: The operator's words.
            expected_revision: The route's revision that the change was made for; 0: no such route
                yet; None: whatever it is.

        Raises:
            InvalidRoute: An arm names a release that is not loaded.
            RouteConflict: The route is at another revision than expected.
            BackendUnavailable: Another controller leads.
        """
        routes = self._leading().routes
        return await routes.set(route, who=who, why=why, expected_revision=expected_revision)

    async def promote(self, name: str, arm: str, *, who: str, why: str) -> RouteRevision:
        """Give one arm of a route everything.

        Raises:
            UnknownRoute: No such route.
            UnknownArm: It has no such arm.
            InvalidRoute: The arm's release is not loaded.
            BackendUnavailable: Another controller leads.
        """
        return await self._leading().routes.promote(name, arm, who=who, why=why)

    async def rollback(
        self, name: str, *, who: str, why: str = "", revision: int | None = None
    ) -> RouteRevision:
        """Go back to the newest earlier revision that differs and whose releases are loaded.

        Waits for nothing: what it goes back to is loaded, what it leaves becomes standby.

        Args:
            name: Of the route.
            who: Name of the key that asks.
            why: The operator's words.
            revision: Go back to this one and to no other.

        Raises:
            UnknownRoute: No such route.
            NothingToRollBackTo: There is none; the message says what to deploy again.
            BackendUnavailable: Another controller leads.
        """
        routes = self._leading().routes
        return await routes.rollback(name, who=who, why=why, revision=revision)

    async def retire(self, key: ReleaseKey, *, who: str, why: str = "") -> Release:
        """Drain a release that no route names, and remove it; returns while it drains.

        Raises:
            ReleaseNotFound: No such release.
            ReleaseBusy: A route names it, or it is not loaded.
            BackendUnavailable: Another controller leads.
        """
        return await self._leading().settlement.retire(key, who=who, why=why)

    async def reconcile(self) -> None:
        """Bring the backends, the releases' states and the drains to what the routes want.

        Raises:
            UnderstudyError: A backend does not answer, a release cannot be loaded, or another
                controller leads.
        """
        await self._leading().reconciler.reconcile()

    async def running(self) -> dict[str, tuple[Registration, ...] | None]:
        """Return what each backend really runs now, by its name; None where it does not answer."""
        backends = tuple(self._backends)
        found = await asyncio.gather(*map(_running, backends))
        return {backend.name: one for backend, one in zip(backends, found, strict=True)}

    def is_here(self, backend: str) -> bool:
        """Whether a backend runs on this machine."""
        return all(one.host is None for one in self._backends if one.name == backend)

    async def drained(self) -> None:
        """Wait until every drain of this moment has ended."""
        if self._term is not None:
            await self._term.drains.settled()

    @property
    def draining(self) -> frozenset[ReleaseKey]:
        """What is being drained now."""
        return frozenset() if self._term is None else self._term.drains.running

    def _leading(self) -> Term:
        if self._term is None:
            raise self._not_leading()
        return self._term

    def _not_leading(self) -> BackendUnavailable:
        leader = self._leadership.leader
        words = f"controller {leader!r} leads, not this one ({self._holder!r}): ask that one"
        if leader == self._holder:
            words = f"a newer controller of this one's name, {leader!r}, leads: ask that one"
        if not leader:
            words = f"controller {self._holder!r} does not lead yet; try again in a moment"
        return BackendUnavailable(words, retry_after_s=1.0)

    async def _lead(self, claim: Claim | None) -> None:
        """Compete, lead, lose, and compete again, until cancelled."""
        while True:
            if claim is None:
                claim = await self._leadership.acquire()
            try:
                await self._serve(claim)
            except LeaseLost as error:
                _log.warning("leadership_lost", holder=self._holder, why=error.message)
            except Exception:  # noqa: BLE001 - the loop must live: the next term may mend all
                _log.exception("leadership_ended")
                await asyncio.sleep(1)
            finally:
                self._looked.set()
            claim = None

    async def _serve(self, claim: Claim) -> None:
        """Lead until the lease is lost.

        Raises:
            LeaseLost: It is.
        """
        _log.info("leadership_won", holder=self._holder, epoch=claim.epoch)
        try:
            async with open_term(
                self._store,
                self._archives,
                self._backends,
                claim,
                silent_after_s=self._silent_after_s,
                period_s=self._reconcile_s,
                backend_timeout_s=self._backend_timeout_s,
                loaded=self._loaded,
            ) as term:
                self._term = term
                self._rollouts = Rollouts(term.store, self.set_route, self._pick)
                await until_one_ends(claim.keep(), self._reconcile(term), self._rollouts.follow())
        finally:
            self._term = self._rollouts = None
            with suppress(UnderstudyError):
                await finish(claim.give_up())

    async def _reconcile(self, term: Term) -> None:
        """Take up what an earlier leader has left, then keep all at what the store wants."""
        epoch = f"epoch {term.claim.epoch}"
        await term.store.audit("controller", "leader.won", self._holder, epoch)
        try:
            await term.reconciler.reconcile()
        except LeaseLost:
            raise
        except UnderstudyError as error:
            _log.warning("reconcile_failed", error=error.message)
        self._looked.set()
        await term.reconciler.follow()


async def _running(backend: Backend) -> tuple[Registration, ...] | None:
    try:
        async with asyncio.timeout(_LOOK_S):
            return await backend.management.list()
    except (UpstreamError, TimeoutError):
        return None
