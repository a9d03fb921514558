"""Compares what the store wants with what TorchServe runs, and mends the difference."""

import asyncio

import structlog

from serving.controlplane.archives import ArchiveStore
from serving.controlplane.deployer import Deployer
from serving.controlplane.releases import LOADED, ON_THE_WAY
from serving.errors import UnderstudyError
from serving.store.store import Store
from serving.store.values import Release, ReleaseState
from serving.torchserve.management import ManagementClient, Registration

_log = structlog.get_logger(__name__)

_KEPT = LOADED | {ReleaseState.DRAINING}
# Cameras wait for what is live; the rest can come after.
_FIRST = {ReleaseState.LIVE: 0, ReleaseState.STANDBY: 1, ReleaseState.READY: 2}


class Reconciler:
    """Brings TorchServe to what the store wants, as often as asked.

    Args:
        store: Holds the releases.
        archives: Holds their private copies.
        management: Speaks to TorchServe.
        deployer: Its lock keeps a deploy and a reconciliation apart.
    """

    def __init__(
        self,
        store: Store,
        archives: ArchiveStore,
        management: ManagementClient,
        deployer: Deployer,
    ) -> None:
        self._store = store
        self._archives = archives
        self._management = management
        self._deployer = deployer
        self._times_emptied = 0
        self.filled = asyncio.Event()
        """Set while TorchServe runs what it should, as far as that can be loaded."""

    def emptied(self) -> None:
        """TorchServe was started anew: until the next reconciliation it runs nothing."""
        self._times_emptied += 1
        self.filled.clear()

    async def reconcile(self) -> None:
        """Undo half-done deploys, remove what nobody wants, load what is missing.

        Raises:
            UnderstudyError: TorchServe cannot be reached, or a release cannot be loaded; the
                others were.
        """
        async with self._deployer.changing:
            times_emptied = self._times_emptied
            for release in await self._store.releases():
                if release.state in ON_THE_WAY:  # nobody else holds the lock: nobody is at it
                    await self._deployer.undo(release, "controller")
            wanted = {one.key: one for one in await self._store.releases() if one.state in _KEPT}
            running = {one.key: one for one in await self._management.list()}
            for registration in running.values():
                if not _is(registration, wanted.get(registration.key)):
                    _log.warning("unknown_registration_removed", release=str(registration.key))
                    await self._management.unregister(registration.key)
            missing = [
                release
                for release in wanted.values()
                if release.state in LOADED and not _is(running.get(release.key), release)
            ]
            # A deploy copies its archive under this lock, so no copy is on its way in now.
            kept = frozenset(release.sha256 for release in wanted.values())
            await asyncio.to_thread(self._archives.sweep, kept)
            try:
                await self._fill(missing)
            finally:
                if times_emptied == self._times_emptied:
                    self.filled.set()

    async def _fill(self, missing: list[Release]) -> None:
        """Load releases, the live ones first; one that fails does not keep the next from it."""
        failure: UnderstudyError | None = None
        for release in sorted(missing, key=lambda one: _FIRST[one.state]):
            try:
                await self._register(release)
            except UnderstudyError as error:
                _log.error("refill_failed", release=str(release.key), error=error.message)
                failure = error
        if failure is not None:
            raise failure

    async def _register(self, release: Release) -> None:
        archive = await asyncio.to_thread(self._archives.open, release.sha256, release.key)
        await self._management.register(
            release.key,
            archive.path.name,
            workers=release.workers,
            batch_size=release.batch_size,
        )
        detail = f"TorchServe ran without it; loaded again on {release.workers} workers"
        await self._store.audit("controller", "release.refill", str(release.key), detail)
        _log.info("release_refilled", release=str(release.key))


def _is(registration: Registration | None, release: Release | None) -> bool:
    """Tell whether TorchServe runs this very archive."""
    if registration is None or release is None:
        return False
    return registration.archive == f"{release.sha256}.mar"
