"""A release's way from an archive to ready on every backend, and back out when it goes wrong."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from serving.controlplane import releases
from serving.controlplane.archives import Archive, ArchiveStore
from serving.controlplane.finishing import finish
from serving.controlplane.keeper import Keeper
from serving.controlplane.registering import ask
from serving.controlplane.releases import LOADED, ON_THE_WAY
from serving.controlplane.room import must_fit
from serving.controlplane.wanted import Wanted, must_be_listed, staged
from serving.errors import (
    ArchiveRejected,
    BackendUnavailable,
    DeployFailed,
    InvalidField,
    LeaseLost,
    ReleaseBusy,
    ReleaseConflict,
    StaleRoute,
    UnderstudyError,
    WorkerDied,
)
from serving.store.store import Store
from serving.store.values import AUTO, Release, ReleaseKey, ReleaseState

_log = structlog.get_logger(__name__)

# Routes cannot change meanwhile, and a rollback may be wanted.
_ROUTES_WAIT_S = 2.0

# A backend that was killed is back within a few seconds.
BACKEND_TIMEOUT_S = 30.0
_KILLED = (BackendUnavailable, StaleRoute, WorkerDied)


class Deployer:
    """Loads releases, one at a time, on all backends at once.

    Machines of others that do not answer keep no release from being deployed as long as half of all
    do: they are filled when they come back.

    Args:
        store: Fenced; keeps the releases.
        archives: Gives private, verified copies.
        keepers: Of the backends; they come and go.
        routing: Held while a route changes; no worker is taken away meanwhile.
        backend_timeout_s: How long a backend that is down is waited for.
    """

    def __init__(
        self,
        store: Store,
        archives: ArchiveStore,
        keepers: Sequence[Keeper],
        routing: asyncio.Lock,
        *,
        backend_timeout_s: float = BACKEND_TIMEOUT_S,
    ) -> None:
        self._store = store
        self._archives = archives
        self._keepers = keepers
        self._routing = routing
        self._backend_timeout_s = backend_timeout_s
        self.one_at_a_time = asyncio.Lock()
        """Held by a deploy, and by whoever removes archives or ends what a deploy began."""

    async def deploy(
        self, path: Path, *, wanted: Wanted, who: str, resizes: bool = True
    ) -> Release:
        """Take an archive to ready; see `Controller.deploy`.

        Args:
            path: In the model store.
            wanted: How it is to run.
            who: Name of the key that asks.
            resizes: Whether a release that is loaded already gets another number of workers.
        """
        async with self.one_at_a_time:
            archive = await self._taken(path, who)
            known = await self._known(archive)
            if known is not None and known.state in LOADED:
                workers = wanted.workers if resizes else known.workers
                same = replace(wanted, workers=workers)
                return await self._as_wanted(archive, known, same, who)
            await self._must_be_possible(archive, wanted)
            release = staged(archive, wanted, known)
            await self._store.put_release(release)
            try:
                await self._load(archive, release)
            except LeaseLost:
                raise  # whoever leads now undoes it
            except BaseException as error:
                await finish(self._undo(release, _reason(error), who))
                if isinstance(error, UnderstudyError) and not isinstance(error, DeployFailed):
                    raise DeployFailed(f"{archive.key}: {error.message}") from error
                raise
            return await finish(self._ready(release, who))

    async def undo_half_done(self) -> None:
        """Undo what an earlier process did not finish; needs `one_at_a_time`."""
        reason = "the server ended during the deploy; deploy it again"
        for release in await self._store.releases():
            if release.state in ON_THE_WAY:
                await self._undo(release, reason, "controller")

    async def _taken(self, path: Path, who: str) -> Archive:
        try:
            return await asyncio.to_thread(self._archives.take, path)
        except ArchiveRejected as error:
            # As a literal: it may hold what no database keeps.
            await self._store.audit(who, "release.refused", ascii(path.name)[1:-1], error.message)
            raise

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

    async def _must_be_possible(self, archive: Archive, wanted: Wanted) -> None:
        """Refuse a variant that the card does not list, and too many workers; nothing is kept."""
        try:
            must_be_listed(archive, wanted.variant)
            await must_fit(self._keepers, archive, wanted)
        except InvalidField:
            await asyncio.to_thread(self._archives.remove, archive.sha256)
            raise

    async def _as_wanted(
        self, archive: Archive, known: Release, wanted: Wanted, who: str
    ) -> Release:
        """Return a release that is loaded already, with as many workers as asked for.

        Raises:
            InvalidField: They do not fit into a machine's memory.
            ReleaseBusy: All else cannot change while it is loaded, nor can it lose workers while it
                has work.
        """
        workers = wanted.workers
        for field in ("batch_size", "batch_delay_ms", "threads", "variant"):
            has, asked = getattr(known, field), getattr(wanted, field)
            if has != asked:
                raise ReleaseBusy(
                    f"{field}: {known.key} is loaded with {_told(has)}, not {_told(asked)}; retire "
                    f"it first, or keep its {field.replace('_', ' ')}"
                )
        if known.workers == workers:
            return known
        if workers < known.workers:
            async with self._routing:
                await self._must_be_idle(known, workers)
                await self._scale(archive, known, workers, patience_s=_ROUTES_WAIT_S)
        else:
            await must_fit(self._keepers, archive, wanted, loaded=known.workers)
            await self._scale(archive, known, workers)
        scaled = await self._store.resize_release(known.key, workers)
        detail = f"workers {known.workers} -> {workers}"
        await self._store.audit(who, "release.scale", str(known.key), detail)
        return scaled

    async def _must_be_idle(self, known: Release, workers: int) -> None:
        """Refuse to take workers away: TorchServe does not let them finish what they are at."""
        named = await releases.is_named(self._store, known.key)
        if named or await self._store.holders(known.key, await self._store.latest_revision()):
            raise ReleaseBusy(
                f"workers: {known.key} answers frames on {known.workers}, and those of a worker "
                "that is taken away would be lost; take it out of its route before it gets "
                f"{workers}"
            )

    async def _scale(
        self, archive: Archive, known: Release, workers: int, patience_s: float | None = None
    ) -> None:
        resized = known.model_copy(update={"workers": workers})

        async def scale(keeper: Keeper) -> None:
            try:
                async with asyncio.timeout(patience_s):
                    await keeper.changing.acquire()
            except TimeoutError:
                raise ReleaseBusy(
                    f"workers: backend {keeper.name} is being filled; try again when it has been"
                ) from None
            try:
                await ask(keeper.backend, archive, resized)
                await keeper.scale(known.key, workers)
                await keeper.look()
            finally:
                keeper.changing.release()

        keepers = tuple(self._keepers)
        await self._on_every(known.key, scale, keepers, least=len(keepers))

    async def _load(self, archive: Archive, release: Release) -> None:
        """Register a release and ask its golden frames, on every backend."""

        async def load(keeper: Keeper) -> None:
            await self._survive(keeper, lambda: keeper.load(archive, release))

        async def prove(keeper: Keeper) -> None:
            try:
                async with keeper.changing:
                    await keeper.prove(archive, release)
            except _KILLED:
                await load(keeper)
                async with keeper.changing:
                    await keeper.prove(archive, release)

        keepers = tuple(self._keepers)
        await releases.advance(self._store, release.key, ReleaseState.LOADING)
        there = await self._on_every(release.key, load, keepers, least=_least(keepers))
        await releases.advance(self._store, release.key, ReleaseState.WARMING)
        there = await self._on_every(release.key, prove, there, least=_least(keepers))
        for left_out in (one for one in keepers if one not in there):
            detail = f"{left_out.name} does not answer; it is given the release when it does"
            await self._store.audit("controller", "release.left_out", str(release.key), detail)
            _log.warning("deployed_without", release=str(release.key), backend=left_out.name)

    async def _survive(self, keeper: Keeper, work: Callable[[], Awaitable[None]]) -> None:
        """Change a backend; one that is down, or goes down meanwhile, is waited for once."""
        for last in (False, True):
            waited_s = keeper.silent_for_s() if keeper.is_far else 0.0
            await keeper.answers(max(0.0, self._backend_timeout_s - waited_s))
            try:
                async with keeper.changing:
                    await work()
            except _KILLED:
                if last:
                    raise
            else:
                return

    async def _on_every(
        self,
        key: ReleaseKey,
        work: Callable[[Keeper], Awaitable[None]],
        keepers: Sequence[Keeper],
        *,
        least: int,
    ) -> list[Keeper]:
        """Do something on every backend at once, to the end on each.

        Args:
            key: Of the release.
            work: What is done.
            keepers: Of the backends.
            least: On how many it must be done; the others are machines that do not answer.

        Returns:
            Where it was done.

        Raises:
            DeployFailed: It failed on one; the message names it.
        """
        done = await asyncio.gather(*(work(keeper) for keeper in keepers), return_exceptions=True)
        failed = {one: error for one, error in zip(keepers, done, strict=True) if error is not None}
        there = [one for one in keepers if one not in failed]
        for keeper, error in failed.items():
            away = keeper.is_far and isinstance(error, BackendUnavailable)
            if away and len(there) >= least:
                continue
            if isinstance(error, UnderstudyError) and not isinstance(error, LeaseLost):
                raise DeployFailed(f"{key} on backend {keeper.name}: {error.message}") from error
            raise error
        return there

    async def _ready(self, release: Release, who: str) -> Release:
        ready = await releases.advance(self._store, release.key, ReleaseState.READY)
        detail = (
            f"sha256 {release.sha256}, {release.workers} workers, "
            f"{_told(release.threads)} threads, batch {release.batch_size} within "
            f"{release.batch_delay_ms} ms, variant {release.variant}"
        )
        await self._store.audit(who, "release.deploy", str(release.key), detail)
        _log.info("release_ready", release=str(release.key), workers=release.workers)
        return ready

    async def _undo(self, release: Release, reason: str, who: str) -> None:
        """Give a deploy up; where a backend does not answer, the next look at it does the rest."""
        await releases.advance(self._store, release.key, ReleaseState.FAILED, reason)
        detail = f"{reason} (sha256 {release.sha256})"
        await self._store.audit(who, "release.failed", str(release.key), detail)
        _log.error("deploy_failed", release=str(release.key), reason=reason)

        async def remove(keeper: Keeper) -> None:
            async with keeper.changing:
                await keeper.remove(release.key)

        keepers = tuple(self._keepers)
        done = await asyncio.gather(*(remove(keeper) for keeper in keepers), return_exceptions=True)
        for error in done:
            if isinstance(error, BaseException) and not isinstance(error, UnderstudyError):
                raise error
        await asyncio.to_thread(self._archives.remove, release.sha256)


def _least(keepers: Sequence[Keeper]) -> int:
    """Return on how many backends a release must be: half of them, and one."""
    return max(1, (len(keepers) + 1) // 2)


def _told(value: str | int | None) -> str:
    return AUTO if value is None else str(value)


def _reason(error: BaseException) -> str:
    return error.message if isinstance(error, UnderstudyError) else "interrupted"
