"""What Prometheus reads of the controller's process: the store's state, the workers, the disks."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from serving.metrics.build import show_build
from serving.metrics.controller.camera_series import CameraSeries
from serving.metrics.controller.disk_series import DiskSeries, Places, used
from serving.metrics.controller.key_series import KeySeries
from serving.metrics.controller.release_series import ReleaseSeries
from serving.metrics.controller.rollout_series import RolloutSeries
from serving.metrics.controller.worker_series import Running, WorkerSeries
from serving.store.store import Store
from serving.store.values import ReleaseState

_log = structlog.get_logger(__name__)

# Prometheus asks every 15 s, as a rule.
PERIOD_S = 5.0
_PATIENCE_S = 10.0
# From then on this process is silent about the store: another controller may know better.
STALE_S = 30.0
_GONE = {ReleaseState.RETIRED, ReleaseState.FAILED}


class Controlling(Protocol):
    """What is asked of the controller."""

    @property
    def leads(self) -> bool:
        """Whether this process moves things now."""

    async def running(self) -> Running:
        """Return what each backend really runs now, by its name."""


class StateMetrics:
    """Reads from time to time, so that a scrape waits for nobody; how old it is, a series says.

    Args:
        store: Not fenced: who does not lead may look.
        places: What the deployment writes to.
        here: Whether the backends run on this machine.
        clock: Returns seconds that only grow.
    """

    def __init__(
        self,
        store: Store,
        places: Places,
        *,
        here: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._places = places
        self._clock = clock
        self._fresh_at = clock()
        registry = self.registry = CollectorRegistry()
        self._releases = ReleaseSeries(registry)
        self._rollouts = RolloutSeries(registry)
        self._cameras = CameraSeries(registry)
        self._keys = KeySeries(registry)
        self._disks = DiskSeries(registry)
        self.workers = WorkerSeries(registry, here=here)
        self._gateways = Gauge(
            "understudy_gateways", "Gateways that the store knows", registry=registry
        )
        self._leading = Gauge(
            "understudy_controller_leading",
            "1 while this controller moves releases and routes",
            registry=registry,
        )
        self._read_at = Gauge(
            "understudy_state_read_timestamp_seconds",
            "When the store was last read for these series, Unix time",
            registry=registry,
        )
        self._failed = Counter(
            "understudy_state_reads_failed",
            "Readings that failed: the series tell of before",
            ("of",),
            registry=registry,
        )
        for part in ("state", "workers", "disks"):
            self._failed.labels(part)
        show_build(registry)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    async def read(self) -> None:
        """Read the store once."""
        now, store = await self._store.now(), self._store
        releases = await store.releases()
        self._releases.show(releases, await store.placements(), now)
        known = {one.key for one in releases if one.state is not ReleaseState.RETIRED}
        self.workers.keep({one.key for one in releases if one.state not in _GONE})
        # The newest of all routes are so many; one that is under way is its route's newest.
        rollouts = [*await store.rollouts_under_way(), *await store.rollouts()]
        self._rollouts.show(rollouts, known)
        self._cameras.show(await store.camera_sightings(), now)
        self._keys.show(await store.keys(), now)
        self._gateways.set(len(await store.gateways()))
        self._read_at.set(time.time())
        self._fresh_at = self._clock()

    def forget_stale(self) -> None:
        """Drop what was read of the store when that was too long ago.

        Rules take the highest or lowest over the controllers: a state of before, which one that is
        cut off would tell for ever, must not speak against what another reads now.
        """
        if self._clock() - self._fresh_at > STALE_S:
            for series in (self._releases, self._rollouts, self._cameras, self._keys):
                series.clear()
            self._gateways.set(math.nan)

    async def measure(self) -> None:
        """Look at the disks once."""
        self._disks.show(await asyncio.to_thread(used, self._places))

    async def look(self, controller: Controlling) -> None:
        """Ask the backends what they run once."""
        self._leading.set(controller.leads)
        self.workers.show(await controller.running())

    @asynccontextmanager
    async def followed(self, controller: Controlling) -> AsyncIterator[None]:
        """Read again and again while the block runs; a backend that hangs holds up nothing else.

        Args:
            controller: Knows whether it leads, and the backends.
        """
        looks = (
            self._again(self.read, "state"),
            self._again(partial(self.look, controller), "workers"),
            self._again(self.measure, "disks"),
        )
        tasks = [asyncio.create_task(one) for one in looks]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _again(self, read: Callable[[], Awaitable[None]], part: str) -> None:
        while True:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await read()
            except Exception as error:  # noqa: BLE001 - the loop must live: the store may come back
                self._failed.labels(part).inc()
                _log.warning("state_not_read", of=part, error=str(error) or type(error).__name__)
                self.forget_stale()
            await asyncio.sleep(PERIOD_S)
