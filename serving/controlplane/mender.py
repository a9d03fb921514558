"""Compares one backend with what the store wants, and mends the difference."""

import asyncio
import time

import structlog

from serving.controlplane.archives import ArchiveStore
from serving.controlplane.keeper import Keeper, runs
from serving.controlplane.pauses import Pauses
from serving.controlplane.releases import LOADED, ON_THE_WAY
from serving.controlplane.shortage import Shortage
from serving.errors import LeaseLost, UnderstudyError
from serving.store.store import Store
from serving.store.values import Release, ReleaseKey, ReleaseState
from serving.torchserve.registration import Registration

_log = structlog.get_logger(__name__)

# What a deploy is at is the deploy's own affair.
_KEPT = LOADED | ON_THE_WAY | {ReleaseState.DRAINING}
# Cameras wait for what is live; the rest can come after.
_FIRST = {ReleaseState.LIVE: 0, ReleaseState.STANDBY: 1, ReleaseState.READY: 2}

_Running = dict[ReleaseKey, Registration]


class Mender:
    """Keeps one backend at what the store wants, as often as asked.

    Args:
        keeper: Of the backend.
        store: Fenced; holds the releases.
        archives: Holds their private copies.
    """

    def __init__(self, keeper: Keeper, store: Store, archives: ArchiveStore) -> None:
        self._keeper = keeper
        self._store = store
        self._archives = archives
        self._pauses = Pauses()
        self._shortage = Shortage()
        self._times_emptied = 0
        self.woken = asyncio.Event()
        """Set when it is to be mended at once."""
        self.filled = asyncio.Event()
        """Set while the backend runs what it should, as far as that can be loaded."""

    @property
    def name(self) -> str:
        """The backend's."""
        return self._keeper.name

    def emptied(self) -> None:
        """The backend was started anew: until it is mended it runs nothing."""
        self._times_emptied += 1
        self._pauses.clear()
        self.filled.clear()
        self.woken.set()

    async def mend(self) -> None:
        """Remove what nobody wants, load what is missing, bring back workers that stay dead.

        What failed a moment ago is left alone for a while and its failure told again.

        Raises:
            UnderstudyError: The backend does not answer, or a release cannot be loaded; the others
                were.
        """
        async with self._keeper.changing:
            times_emptied = self._times_emptied
            running = await self._keeper.look()
            releases = {one.key: one for one in await self._store.releases()}
            await self._remove_unwanted(running, releases)
            placed = (await self._store.placements()).get(self.name, {})
            wanted = [one for one in releases.values() if one.state in LOADED]
            await self._restaff(wanted, running)
            try:
                await self._fill([one for one in wanted if one.key not in placed], running)
            finally:
                if times_emptied == self._times_emptied:
                    self.filled.set()

    async def _remove_unwanted(
        self, running: _Running, releases: dict[ReleaseKey, Release]
    ) -> None:
        for key, registration in list(running.items()):
            release = releases.get(key)
            if release is not None and release.state in _KEPT and _fits(registration, release):
                continue
            _log.warning("unknown_registration_removed", release=str(key), backend=self.name)
            await self._keeper.remove(key)
            del running[key]

    async def _restaff(self, wanted: list[Release], running: _Running) -> None:
        """Bring back workers that TorchServe itself does not."""
        workers = {one.key: one.workers for one in wanted if one.key in running}
        short = [key for key, count in workers.items() if running[key].ready_workers < count]
        for key in self._shortage.due(short, time.monotonic()):
            ready = running[key].ready_workers
            detail = f"{ready} of {workers[key]} workers on {self.name}; more were started"
            await self._keeper.scale(key, workers[key], wait=False)
            await self._store.audit("controller", "release.restaff", str(key), detail)
            _log.error("workers_stayed_dead", release=str(key), backend=self.name, ready=ready)

    async def _fill(self, missing: list[Release], running: _Running) -> None:
        """Load releases, the live ones first; one that fails does not keep the next from it."""
        failure: Exception | None = None
        for release in sorted(missing, key=lambda one: _FIRST[one.state]):
            pending = self._pauses.pending(release.key, time.monotonic())
            failure = pending or await self._tried(release, running) or failure
        if failure is not None:
            raise failure

    async def _tried(self, release: Release, running: _Running) -> Exception | None:
        try:
            await self._refill(release, running.get(release.key))
        except LeaseLost:
            raise
        except UnderstudyError as error:
            _log.error(
                "refill_failed",
                release=str(release.key),
                backend=self.name,
                error=error.message,
            )
            self._pauses.failed(release.key, error, time.monotonic())
            return error
        self._pauses.forget(release.key)
        return None

    async def _refill(self, release: Release, found: Registration | None) -> None:
        """Load a release and ask its golden frames before gateways are told.

        One that fails its golden frames stays registered: a gateway that has not heard yet may
        have sent it a frame, which an unregister would lose.
        """
        archive = await asyncio.to_thread(self._archives.open, release.sha256, release.key)
        if found is None:
            await self._keeper.register(archive, release)
        elif not found.workers:  # whoever registered it was cut off before it had any
            await self._keeper.scale(release.key, release.workers)
        await self._keeper.prove(archive, release)
        detail = f"{self.name} ran without it; loaded again on {release.workers} workers"
        await self._store.audit("controller", "release.refill", str(release.key), detail)
        _log.info("release_refilled", release=str(release.key), backend=self.name)


def _fits(registration: Registration, release: Release) -> bool:
    """Tell whether a registration is the release's, or the half of a deploy's."""
    return release.state in ON_THE_WAY or runs(registration, release)
