"""Brings the deployment to what the store wants, again and again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog

from serving.controlplane.archives import ArchiveStore
from serving.controlplane.deployer import Deployer
from serving.controlplane.draining import Drains
from serving.controlplane.finishing import until_one_ends
from serving.controlplane.keeper import Confirm
from serving.controlplane.mender import Mender
from serving.controlplane.releases import LOADED, ON_THE_WAY
from serving.controlplane.settlement import Settlement
from serving.errors import LeaseLost, UnderstudyError
from serving.store.store import Store
from serving.store.values import ReleaseState

_log = structlog.get_logger(__name__)

# As often as names are resolved.
_JOINED_WITHIN_S = 2.0
_KEPT = LOADED | ON_THE_WAY | {ReleaseState.DRAINING}


class Reconciler:
    """Settles states, ends what was left half done, and mends each backend by itself.

    Args:
        store: Fenced; holds the releases.
        archives: Holds their private copies.
        deployer: Undoes half-done deploys.
        settlement: Moves releases to where the routes want them.
        drains: Watches the gateways.
        menders: Of the backends; they come and go.
        knows_all: Tells whether a backend without a mender is none any more.
        confirm: Asked before each act that cannot be undone.
        period_s: Seconds between two looks that nothing asked for.
    """

    def __init__(
        self,
        store: Store,
        archives: ArchiveStore,
        *,
        deployer: Deployer,
        settlement: Settlement,
        drains: Drains,
        menders: Sequence[Mender],
        knows_all: Callable[[], bool],
        confirm: Confirm,
        period_s: float,
    ) -> None:
        self._store = store
        self._archives = archives
        self._deployer = deployer
        self._settlement = settlement
        self._drains = drains
        self._menders = menders
        self._knows_all = knows_all
        self._confirm = confirm
        self._period_s = period_s

    def wake(self, backend: str | None = None) -> None:
        """A backend, or None: any of them, was started anew: mend it now."""
        for mender in self._menders:
            if backend in {None, mender.name}:
                mender.emptied()

    @property
    def is_filled(self) -> bool:
        """Whether each backend runs what it should, as far as that can be loaded."""
        return all(mender.filled.is_set() for mender in self._menders)

    async def reconcile(self) -> None:
        """Look at everything once.

        Raises:
            UnderstudyError: A backend does not answer, or a release cannot be loaded; all else was
                mended.
        """
        await self._settle()
        await self._sweep()
        done = await asyncio.gather(
            *(mender.mend() for mender in tuple(self._menders)), return_exceptions=True
        )
        errors = [one for one in done if isinstance(one, BaseException)]
        # A lost lease goes first: whoever leads now does the rest.
        for error in sorted(errors, key=lambda one: not isinstance(one, LeaseLost)):
            raise error

    async def follow(self) -> None:
        """Look again and again, at each backend by itself: one that hangs holds up no other.

        Raises:
            LeaseLost: Somebody else leads.
        """
        settling = self._again(self._settle, asyncio.Event(), "releases")
        await until_one_ends(settling, self._mend_each())

    async def _mend_each(self) -> None:
        looks: dict[Mender, asyncio.Task[None]] = {}
        try:
            while True:
                menders = tuple(self._menders)
                for gone in looks.keys() - set(menders):
                    looks.pop(gone).cancel()
                for one in menders:
                    if one not in looks:
                        looks[one] = asyncio.create_task(self._again(one.mend, one.woken, one.name))
                # Ended is only one whose lease is lost.
                for ended in (task for task in looks.values() if task.done()):
                    await ended
                if not looks:
                    await asyncio.sleep(_JOINED_WITHIN_S)
                    continue
                await asyncio.wait(
                    looks.values(),
                    timeout=_JOINED_WITHIN_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            for task in looks.values():
                task.cancel()
            await asyncio.gather(*looks.values(), return_exceptions=True)

    async def _settle(self) -> None:
        await self._withdraw_gone()
        await self._drains.observe()
        await self._settlement.settle()
        if not self._deployer.one_at_a_time.locked():  # else the next look does it
            async with self._deployer.one_at_a_time:
                await self._deployer.undo_half_done()

    async def _withdraw_gone(self) -> None:
        """Tell the gateways to send no more to backends that are none any more."""
        if not self._knows_all():
            return
        known = {mender.name for mender in self._menders}
        for name in (await self._store.placements()).keys() - known:
            await self._store.put_placements(name, {})
            await self._store.audit("controller", "backend.gone", name, "its placements went")
            _log.warning("backend_gone", backend=name)

    async def _sweep(self) -> None:
        """Remove archives that a kill at a bad moment has left."""
        # A deploy copies its archive under this lock: no copy is on its way in now.
        async with self._deployer.one_at_a_time:
            releases = await self._store.releases()
            kept = frozenset(one.sha256 for one in releases if one.state in _KEPT)
            await self._confirm()
            await asyncio.to_thread(self._archives.sweep, kept)

    async def _again(
        self, look: Callable[[], Awaitable[None]], woken: asyncio.Event, name: str
    ) -> None:
        told = ""
        while True:
            woken.clear()
            error = await _failure(look, name)
            if error and error != told:
                _log.warning("reconcile_failed", at=name, error=error)
            told = error
            with suppress(TimeoutError):
                async with asyncio.timeout(self._period_s):
                    await woken.wait()


async def _failure(look: Callable[[], Awaitable[None]], name: str) -> str:
    """Look once and return what went wrong; "" where nothing did."""
    try:
        await look()
    except LeaseLost:
        raise
    except UnderstudyError as error:
        return error.message
    except Exception:  # noqa: BLE001 - the loop must live: the next round may find all mended
        _log.exception("reconcile_failed", at=name)
    return ""
