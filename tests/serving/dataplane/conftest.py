"""A gateway on its own store, before the shared TorchServe."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from planes import kept

from proto.wire.v1 import detection_pb2 as wire
from serving.controlplane.archives import ArchiveStore
from serving.controlplane.controller import Controller
from serving.dataplane.frames import FrameLimits
from serving.dataplane.gateway import Call
from serving.dataplane.plane import DataPlane
from serving.metrics.gateway.metrics import Metrics
from serving.store.store import Store, open_store
from serving.store.values import Arm, ReleaseKey, Route, Scope


@dataclass(frozen=True)
class Stage:
    """What a test of the data plane holds.

    Attributes:
        store: Its own.
        controller: Moves releases and routes.
        plane: The gateway under test.
        metrics: The gateway's.
        model_store: Where archives are put.
        archives: Builds them.
        backend: The TorchServe.
    """

    store: Store
    controller: Controller
    plane: DataPlane
    metrics: Metrics
    model_store: Path
    archives: Any
    backend: Any

    async def deploy(self, model: str, version: str = "1.0", **options: Any) -> ReleaseKey:
        """Build and load an archive; `busy`, `batch_size` and `workers` as they say."""
        limits = {name: options.pop(name) for name in ("batch_size", "workers") if name in options}
        path = self.archives.build(self.model_store, model, version, **options)
        await self.controller.deploy(path, who="test", **limits)
        return ReleaseKey(model=model, version=version)

    async def set_route(self, release: ReleaseKey) -> int:
        """Route everything to a release; returns the revision, which nobody has applied yet."""
        route = Route(arms=(Arm(name="main", release=release, weight=100),))
        return (await self.controller.set_route(route, who="test", why="test")).revision

    async def route(self, release: ReleaseKey) -> int:
        """Route everything to a release, and wait until the gateway has seen it by itself."""
        revision = await self.set_route(release)
        async with asyncio.timeout(5):
            while self.plane.routes.table.revision < revision:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        return revision

    async def beaten(self, revision: int) -> None:
        """Wait until the gateway's heartbeat tells a revision."""
        async with asyncio.timeout(1):
            while (await self.store.gateways())[0].revision < revision:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)

    def in_flight(self, key: ReleaseKey) -> int:
        """Return what the gateway's metrics say it owes of a release."""
        return int(self._sample("understudy_in_flight", key))

    def answered(self, key: ReleaseKey) -> int:
        """Return how many answers of a release the gateway's metrics have counted."""
        return int(self._sample("understudy_upstream_seconds_count", key))

    def expired(self, key: ReleaseKey) -> int:
        """Return how many frames of a release have expired, by the gateway's metrics."""
        return int(self._sample("understudy_expired_frames_total", key))

    def _sample(self, name: str, key: ReleaseKey) -> float:
        """Return a release's value, over all arms that name it."""
        return sum(
            sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == name
            and (sample.labels["model"], sample.labels["version"]) == (key.model, key.version)
        )

    async def detect(self, image: bytes, call: Call | None = None) -> wire.DetectResponse:
        """Send one frame."""
        return await self.plane.gateway.detect(
            wire.DetectRequest(image=image, camera_id="gate-7"),
            call or Call("r", Scope.DETECT),
        )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(
    tmp_path_factory: pytest.TempPathFactory, backend: Any, archives: Any
) -> AsyncIterator[Stage]:
    """One for a module; its gateway has joined the store and read the (empty) route."""
    tmp_path = tmp_path_factory.mktemp("stage")
    model_store = tmp_path / "model_store"
    copies = ArchiveStore(
        backend.server.config.archives,
        model_store=model_store,
        trusted_keys=[archives.public_key],
    )
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        store = await enter(open_store(f"sqlite+aiosqlite:///{tmp_path}/store.sqlite3"))
        controller = await enter(
            Controller(store, copies, kept([backend]), holder="test", silent_after_s=30)
        )
        await controller.taken_up()
        metrics = Metrics()
        plane = DataPlane(
            store=store,
            backends={one.name: one.inference for one in kept([backend])},
            metrics=metrics,
            limits=FrameLimits(),
            waiting_room=2,
        )
        await enter(plane.running())
        yield Stage(store, controller, plane, metrics, model_store, archives, backend)
