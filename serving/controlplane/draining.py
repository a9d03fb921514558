"""Draining: a release leaves only when no gateway holds or can send work for it."""

import asyncio
import time
from collections.abc import Sequence

import structlog

from serving.controlplane import releases
from serving.controlplane.archives import ArchiveStore
from serving.controlplane.gone import Silence
from serving.controlplane.keeper import Keeper
from serving.errors import BackendUnavailable, UnderstudyError, UpstreamError
from serving.store.store import Store
from serving.store.values import GatewayStatus, ReleaseKey, ReleaseState

_log = structlog.get_logger(__name__)

_POLL_S = 0.1
_RETRY_S = 2.0
# Deadlines end every request, so a drain this long means that a gateway has lost count.
_LONG_S = 300.0


class Drains:
    """Background drains, one a release.

    Args:
        store: Fenced; tells who holds a release, and keeps its state.
        keepers: Of the backends that it is removed from then; they come and go.
        archives: Its private copy goes with it.
        one_at_a_time: Held while a release is removed, so that a deploy of the same archive finds
            it either there or gone.
        silence: Tells which gateways count as gone.
    """

    def __init__(
        self,
        store: Store,
        keepers: Sequence[Keeper],
        archives: ArchiveStore,
        one_at_a_time: asyncio.Lock,
        silence: Silence,
    ) -> None:
        self._store = store
        self._keepers = keepers
        self._archives = archives
        self._one_at_a_time = one_at_a_time
        self._silence = silence
        self._tasks: dict[ReleaseKey, asyncio.Task[None]] = {}

    def start(self, key: ReleaseKey, revision: int) -> None:
        """Drain a release that is in state draining; a drain that runs already goes on.

        Args:
            key: The release.
            revision: The first one whose routes do not name it.
        """
        if key in self._tasks:
            return
        task = asyncio.create_task(self._drain(key, revision), name=f"drain {key}")
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    @property
    def running(self) -> frozenset[ReleaseKey]:
        """What is being drained now."""
        return frozenset(self._tasks)

    async def settled(self) -> None:
        """Wait until every drain of this moment has ended."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def close(self) -> None:
        """Stop all drains where they are; the next start takes them up again."""
        for task in self._tasks.values():
            task.cancel()
        await self.settled()

    async def observe(self) -> None:
        """Take note of the gateways: silence is counted from the first look at it."""
        self._silence.observe(await self._store.gateways(), time.monotonic())

    async def _drain(self, key: ReleaseKey, revision: int) -> None:
        try:
            await self._wait_until_drained(key, revision)
            # A TorchServe that refused tells nobody when it will not.
            while not await self._removed(key):  # noqa: ASYNC110 - see above
                await asyncio.sleep(_RETRY_S)
            await self._store.audit("controller", "release.retired", str(key), f"after {revision}")
        except UnderstudyError as error:
            # The next reconciliation starts it anew, whoever leads then.
            _log.warning("drain_interrupted", release=str(key), error=error.message)
        else:
            _log.info("release_retired", release=str(key), revision=revision)

    async def _removed(self, key: ReleaseKey) -> bool:
        async with self._one_at_a_time:
            for keeper in tuple(self._keepers):
                if not await self._removed_from(keeper, key):
                    return False
            retired = await releases.advance(self._store, key, ReleaseState.RETIRED)
            await asyncio.to_thread(self._archives.remove, retired.sha256)
            return True

    async def _removed_from(self, keeper: Keeper, key: ReleaseKey) -> bool:
        """Remove a release; a backend that does not answer loses it when it is looked at again."""
        try:
            async with keeper.changing:
                await keeper.remove(key)
        except BackendUnavailable:
            _log.warning("unregister_left_for_later", release=str(key), backend=keeper.name)
        except UpstreamError as error:
            _log.warning(
                "unregister_failed", release=str(key), backend=keeper.name, error=error.message
            )
            return False
        return True

    async def _wait_until_drained(self, key: ReleaseKey, revision: int) -> None:
        warn_at = time.monotonic() + _LONG_S
        # Gateways write to the store and to nobody else, so the store is asked again and again.
        while holders := await self._holders(key, revision):
            if time.monotonic() > warn_at:
                statuses = [status.model_dump(mode="json") for status in holders]
                _log.error("drain_hangs", release=str(key), revision=revision, gateways=statuses)
                warn_at = time.monotonic() + _LONG_S
            await asyncio.sleep(_POLL_S)

    async def _holders(self, key: ReleaseKey, revision: int) -> list[GatewayStatus]:
        """Return the gateways that hold work for a release or may still send it some."""
        asked_at_s = time.monotonic()
        holders = await self._store.holders(key, revision)
        return self._silence.counted(holders, asked_at_s=asked_at_s, answered_at_s=time.monotonic())
