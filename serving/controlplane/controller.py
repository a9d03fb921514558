"""What an operator moves: releases and routes. One controller a deployment."""

import asyncio
import contextlib
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from serving.controlplane import releases, rollback
from serving.controlplane.archives import ArchiveStore
from serving.controlplane.deployer import Deployer
from serving.controlplane.draining import Drains
from serving.controlplane.reconciler import Reconciler
from serving.controlplane.settlement import Settlement
from serving.errors import (
    ReleaseBusy,
    ReleaseNotFound,
    UnderstudyError,
    UnknownArm,
    UnknownRoute,
)
from serving.store.store import Store
from serving.store.values import (
    Release,
    ReleaseKey,
    ReleaseState,
    Route,
    RouteRevision,
)
from serving.torchserve.inference import InferenceClient
from serving.torchserve.management import ManagementClient, Registration

_log = structlog.get_logger(__name__)

# How far back a rollback looks.
_HISTORY = 200


class Controller:
    """Moves releases and routes, and keeps TorchServe at what the store wants.

    An async context manager: entering takes up what an earlier process has left, and starts to
    reconcile again and again.

    Args:
        store: Desired state.
        archives: Private copies.
        management: TorchServe's management API.
        inference: TorchServe's inference API, for golden frames.
        silent_after_s: A gateway without a heartbeat for this long counts as gone: its lease plus
            the longest deadline, in seconds.
        reconcile_s: Seconds between two reconciliations that nothing asked for.
    """

    def __init__(
        self,
        store: Store,
        archives: ArchiveStore,
        management: ManagementClient,
        inference: InferenceClient,
        *,
        silent_after_s: float,
        reconcile_s: float = 10.0,
    ) -> None:
        self._store = store
        self._management = management
        self._deployer = Deployer(store, archives, management, inference)
        self._reconciler = Reconciler(store, archives, management, self._deployer)
        changing = self._deployer.changing
        self._drains = Drains(store, management, archives, changing, silent_after_s=silent_after_s)
        self._settlement = Settlement(store, self._drains)
        self._reconcile_s = reconcile_s
        # Routes change in no time and never wait for a release that is loading.
        self._routing = asyncio.Lock()
        self._woken = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._reconcile_or_log()
        self._loop = asyncio.create_task(self._run(), name="controller")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        await self._drains.close()

    def wake(self) -> None:
        """Reconcile now: TorchServe was started anew."""
        self._reconciler.emptied()
        self._woken.set()

    @property
    def filled(self) -> asyncio.Event:
        """Set while TorchServe runs what it should, as far as that can be loaded."""
        return self._reconciler.filled

    async def deploy(
        self, path: Path, *, workers: int = 1, batch_size: int = 8, who: str
    ) -> Release:
        """Take an archive, load it and warm it; what serves now goes on serving whatever happens.

        The same archive a second time changes nothing but the number of workers.

        Args:
            path: NAME-VERSION.mar in the model store.
            workers: How many processes it runs on.
            batch_size: Largest batch TorchServe forms for it.
            who: Name of the key that asks.

        Returns:
            The release, ready for a route (or live or standby, if it was loaded already).

        Raises:
            ArchiveRejected: It is unsigned, altered, incomplete or not one of ours.
            ReleaseConflict: Another archive had its name and version before.
            ReleaseBusy: It is draining, or loaded with another batch size.
            DeployFailed: It did not load, or a golden frame was answered wrongly.
        """
        return await self._deployer.deploy(path, workers=workers, batch_size=batch_size, who=who)

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
        """
        async with self._routing:
            return await self._put(route, who, why, expected_revision)

    async def promote(self, name: str, arm: str, *, who: str, why: str) -> RouteRevision:
        """Give one arm of a route everything.

        Raises:
            UnknownRoute: No such route.
            UnknownArm: It has no such arm.
            InvalidRoute: The arm's release is not loaded.
        """
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
        """
        async with self._routing:
            await self._present(name)
            history = await self._store.history(name, _HISTORY)
            states = {release.key: release.state for release in await self._store.releases()}
            found = rollback.target(history, states, revision)
            words = f"rollback to revision {found.revision}" + (f": {why}" if why else "")
            return await self._put(found.route, who, words, None)

    async def retire(self, key: ReleaseKey, *, who: str, why: str = "") -> Release:
        """Drain a release that no route names, and remove it; returns while it drains.

        Raises:
            ReleaseNotFound: No such release.
            ReleaseBusy: A route names it, or it is not loaded.
        """
        async with self._routing:
            release = await self._store.release(key)
            if release is None:
                raise ReleaseNotFound(f"no release {key} here; `understudy route show` lists them")
            if release.state in {ReleaseState.DRAINING, ReleaseState.RETIRED}:
                return release
            if release.state is ReleaseState.LIVE:
                raise ReleaseBusy(f"{key} is live: take it out of its route first")
            retiring = await releases.advance(self._store, key, ReleaseState.DRAINING, why)
            await self._store.audit(who, "release.retire", str(key), why)
            self._drains.start(key, await self._store.latest_revision())
            return retiring

    async def reconcile(self) -> None:
        """Bring TorchServe, the releases' states and the drains to what the routes want.

        Raises:
            UnderstudyError: TorchServe cannot be reached, or a release cannot be loaded.
        """
        async with self._routing:
            await self._settlement.apply()
        await self._reconciler.reconcile()

    async def running(self) -> tuple[Registration, ...]:
        """Return what TorchServe really runs now.

        Raises:
            UpstreamError: TorchServe cannot be reached.
        """
        return await self._management.list()

    async def drained(self) -> None:
        """Wait until every drain of this moment has ended."""
        await self._drains.settled()

    @property
    def draining(self) -> frozenset[ReleaseKey]:
        """What is being drained now."""
        return self._drains.running

    async def _present(self, name: str) -> RouteRevision:
        routes = await self._store.routes()
        if name not in routes:
            known = ", ".join(sorted(routes)) or "none yet"
            raise UnknownRoute("route", f"route: no route {name!r}; there is {known}")
        return routes[name]

    async def _put(
        self, route: Route, who: str, why: str, expected_revision: int | None
    ) -> RouteRevision:
        releases.must_be_loaded(route, await self._store.releases())
        present = (await self._store.routes()).get(route.name)
        if present is not None and present.route == route and expected_revision is None:
            return present
        added = await self._store.put_route(
            route, who=who, why=why, expected_revision=expected_revision
        )
        await self._settlement.apply()
        _log.info("route_set", route=route.name, revision=added.revision, who=who, why=why)
        return added

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._reconcile_s):
                    await self._woken.wait()
            self._woken.clear()
            await self._reconcile_or_log()

    async def _reconcile_or_log(self) -> None:
        try:
            await self.reconcile()
        except UnderstudyError as error:
            _log.warning("reconcile_failed", error=error.message)
        except Exception:  # noqa: BLE001 - the loop must live: the next round may find all mended
            _log.exception("reconcile_failed")
