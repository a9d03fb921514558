"""Draining: a release leaves only when no gateway holds or can send work for it."""

import asyncio

import structlog

from serving.controlplane import releases
from serving.controlplane.archives import ArchiveStore
from serving.errors import UnderstudyError
from serving.store.store import Store
from serving.store.values import ReleaseKey, ReleaseState
from serving.torchserve.management import ManagementClient

_log = structlog.get_logger(__name__)

_POLL_S = 0.1
_RETRY_S = 2.0
# Deadlines end every request, so a drain this long means that a gateway has lost count.
_LONG_S = 300.0


class Drains:
    """Background drains, one a release.

    Args:
        store: Tells when a release is drained, and keeps its state.
        management: Unregisters it then.
        archives: Its private copy goes with it.
        changing: Held while TorchServe is changed, so that a deploy of the same archive finds it
            either there or gone.
        silent_after_s: A gateway without a heartbeat for this long counts as gone: its lease plus
            the longest deadline, in seconds.
    """

    def __init__(
        self,
        store: Store,
        management: ManagementClient,
        archives: ArchiveStore,
        changing: asyncio.Lock,
        *,
        silent_after_s: float,
    ) -> None:
        self._store = store
        self._management = management
        self._archives = archives
        self._changing = changing
        self._silent_after_s = silent_after_s
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

    async def _drain(self, key: ReleaseKey, revision: int) -> None:
        await self._wait_until_drained(key, revision)
        # A TorchServe that refused tells nobody when it will not.
        while not await self._removed(key):  # noqa: ASYNC110 - see above
            await asyncio.sleep(_RETRY_S)
        await self._store.audit("controller", "release.retired", str(key), f"after {revision}")
        _log.info("release_retired", release=str(key), revision=revision)

    async def _removed(self, key: ReleaseKey) -> bool:
        async with self._changing:
            try:
                await self._management.unregister(key)
            except UnderstudyError as error:
                _log.warning("unregister_failed", release=str(key), error=error.message)
                return False
            retired = await releases.advance(self._store, key, ReleaseState.RETIRED)
            await asyncio.to_thread(self._archives.remove, retired.sha256)
            return True

    async def _wait_until_drained(self, key: ReleaseKey, revision: int) -> None:
        clock = asyncio.get_running_loop().time
        warn_at = clock() + _LONG_S
        # Gateways write to the store and to nobody else, so the store is asked again and again.
        while not await self._store.drained(key, revision, self._silent_after_s):
            if clock() > warn_at:
                statuses = [
                    status.model_dump(mode="json") for status in await self._store.gateways()
                ]
                _log.error("drain_hangs", release=str(key), revision=revision, gateways=statuses)
                warn_at = clock() + _LONG_S
            await asyncio.sleep(_POLL_S)
