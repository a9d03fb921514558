"""A release's way from an archive to ready, and back out when anything on it goes wrong."""

import asyncio
import contextlib
from datetime import UTC, datetime
from pathlib import Path

import structlog

from proto.wire.v1 import card_pb2
from serving.controlplane import releases
from serving.controlplane.archives import Archive, ArchiveStore
from serving.controlplane.releases import LOADED
from serving.controlplane.warming import warm
from serving.errors import (
    DeployFailed,
    ReleaseBusy,
    ReleaseConflict,
    UnderstudyError,
)
from serving.store.store import Store
from serving.store.values import Release, ReleaseState
from serving.torchserve.inference import InferenceClient
from serving.torchserve.management import ManagementClient

_log = structlog.get_logger(__name__)


class Deployer:
    """Loads releases, one at a time.

    Args:
        store: Keeps the releases.
        archives: Gives private, verified copies.
        management: Loads them.
        inference: Warms them.
    """

    def __init__(
        self,
        store: Store,
        archives: ArchiveStore,
        management: ManagementClient,
        inference: InferenceClient,
    ) -> None:
        self._store = store
        self._archives = archives
        self._management = management
        self._inference = inference
        self.changing = asyncio.Lock()
        """Held while TorchServe is being changed; whoever compares it with the store takes it."""

    async def deploy(self, path: Path, *, workers: int, batch_size: int, who: str) -> Release:
        """Take an archive to ready; see `Controller.deploy`."""
        async with self.changing:
            archive = await asyncio.to_thread(self._archives.take, path)
            known = await self._known(archive)
            if known is not None and known.state in LOADED:
                return await self._as_wanted(known, workers, batch_size, who)
            release = _staged(archive, workers=workers, batch_size=batch_size, known=known)
            await self._store.put_release(release)
            try:
                return await self._load(archive, release, who)
            except BaseException as error:
                # Shielded: a deploy that is cancelled leaves as little behind as one that fails.
                await asyncio.shield(self._undo(release, _reason(error), who))
                if isinstance(error, UnderstudyError) and not isinstance(error, DeployFailed):
                    raise DeployFailed(f"{archive.key}: {error.message}") from error
                raise

    async def undo(self, release: Release, who: str) -> None:
        """Undo a deploy that an earlier process did not finish; needs `changing`."""
        await self._undo(release, "the server ended during the deploy; deploy it again", who)

    async def _known(self, archive: Archive) -> Release | None:
        """Return what the store knows of this name and version.

        Raises:
            ReleaseConflict: Another archive had them before.
            ReleaseBusy: It is on its way out.
        """
        known = await self._store.release(archive.key)
        if known is None:
            return None
        if known.sha256 != archive.sha256:
            await asyncio.to_thread(self._archives.remove, archive.sha256)
            raise ReleaseConflict(
                f"{archive.key} was deployed before from another archive (sha256 "
                f"{known.sha256[:12]}, this one {archive.sha256[:12]}): archives are immutable; "
                "build this one with a new version"
            )
        if known.state is ReleaseState.DRAINING:
            raise ReleaseBusy(f"{archive.key} is draining; deploy it again once it is retired")
        return known

    async def _as_wanted(self, known: Release, workers: int, batch_size: int, who: str) -> Release:
        """Return a release that is loaded already, with as many workers as asked for.

        Raises:
            ReleaseBusy: Its batch size cannot change while it is loaded, nor can it lose workers
                while it has work.
        """
        if known.batch_size != batch_size:
            raise ReleaseBusy(
                f"batch_size: {known.key} is loaded with {known.batch_size}, not {batch_size}; "
                "retire it first, or keep its batch size"
            )
        if known.workers == workers:
            return known
        if workers < known.workers:
            await self._must_be_idle(known, workers)
        await self._management.scale(known.key, workers)
        scaled = await self._store.resize_release(known.key, workers)
        detail = f"workers {known.workers} -> {workers}"
        await self._store.audit(who, "release.scale", str(known.key), detail)
        return scaled

    async def _must_be_idle(self, known: Release, workers: int) -> None:
        """Refuse to take workers away: TorchServe does not let them finish what they are at."""
        key = str(known.key)
        held = any(gateway.in_flight.get(key) for gateway in await self._store.gateways())
        if known.state is ReleaseState.LIVE or held:
            raise ReleaseBusy(
                f"workers: {key} answers frames on {known.workers}, and those of a worker that is "
                f"taken away would be lost; take it out of its route before it gets {workers}"
            )

    async def _load(self, archive: Archive, release: Release, who: str) -> Release:
        key = release.key
        await releases.advance(self._store, key, ReleaseState.LOADING)
        # One that an earlier, half-done deploy has left would be in the way.
        await self._management.unregister(key)
        await self._management.register(
            key, archive.path.name, workers=release.workers, batch_size=release.batch_size
        )
        await releases.advance(self._store, key, ReleaseState.WARMING)
        await warm(archive, release.workers, self._inference)
        ready = await releases.advance(self._store, key, ReleaseState.READY)
        detail = f"sha256 {release.sha256}, {release.workers} workers, batch {release.batch_size}"
        await self._store.audit(who, "release.deploy", str(key), detail)
        _log.info("release_ready", release=str(key), workers=release.workers)
        return ready

    async def _undo(self, release: Release, reason: str, who: str) -> None:
        with contextlib.suppress(UnderstudyError):  # a TorchServe that is down runs nothing
            await self._management.unregister(release.key)
        await releases.advance(self._store, release.key, ReleaseState.FAILED, reason)
        await asyncio.to_thread(self._archives.remove, release.sha256)
        await self._store.audit(who, "release.failed", str(release.key), reason)
        _log.error("deploy_failed", release=str(release.key), reason=reason)


def _reason(error: BaseException) -> str:
    return error.message if isinstance(error, UnderstudyError) else "interrupted"


def _staged(archive: Archive, *, workers: int, batch_size: int, known: Release | None) -> Release:
    now = datetime.now(UTC)
    card = archive.card
    return Release(
        key=archive.key,
        sha256=archive.sha256,
        role="teacher" if card.role == card_pb2.ROLE_TEACHER else "student",
        class_names=tuple(card.class_names),
        operating_thresholds=tuple(card.post_processing.operating_thresholds),
        quality_measured=card.quality.measured,
        state=ReleaseState.STAGED,
        workers=workers,
        batch_size=batch_size,
        created=now if known is None else known.created,
        updated=now,
    )
