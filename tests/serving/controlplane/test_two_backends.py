"""Two real TorchServes under one controller: both are ready, or neither; each is kept full."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import pytest_asyncio
from planes import Plane, open_plane

from serving.errors import BackendUnavailable, DeployFailed, LeaseLost
from serving.store.store import open_store
from serving.store.values import Arm, ReleaseKey, ReleaseState, Route
from serving.torchserve.backend import Backend
from serving.torchserve.config import TorchServeConfig
from serving.torchserve.inference import InferenceClient
from serving.torchserve.management import ManagementClient
from serving.torchserve.process import TorchServe

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

KEY = ReleaseKey(model="student", version="1.0")
NEXT = ReleaseKey(model="student", version="1.1")
ROUTE = Route(arms=(Arm(name="student", release=KEY, weight=100),))
BOTH = {"backend-0", "backend-1"}


@dataclass(frozen=True)
class Second:
    """The other TorchServe, which loads from the first one's folder."""

    server: TorchServe
    management: ManagementClient
    inference: InferenceClient


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def backends(
    tmp_path_factory: pytest.TempPathFactory, backend: Any
) -> AsyncIterator[tuple[Any, Any]]:
    folder = tmp_path_factory.mktemp("second") / "torchserve"
    config = TorchServeConfig(archives=backend.server.config.archives, folder=folder)
    async with (
        TorchServe(config) as server,
        ManagementClient(server.management_url, server.management_token) as management,
        InferenceClient(server.inference_url, server.inference_token) as inference,
    ):
        yield backend, Second(server, management, inference)


@pytest_asyncio.fixture(loop_scope="session")
async def pair(tmp_path: Path, backends: tuple[Any, Any], archives: Any) -> AsyncIterator[Plane]:
    async with open_plane(tmp_path, backends, archives) as opened:
        yield opened


async def built(plane: Plane, version: str, **options: Any) -> Path:
    return await asyncio.to_thread(plane.build, "student", version, **options)


async def running(plane: Plane) -> dict[str, set[str]]:
    found = await plane.controller.running()
    return {name: {str(one.key) for one in several or ()} for name, several in found.items()}


async def until(is_so: Callable[[], Awaitable[bool]], timeout_s: float = 60.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not await is_so():  # noqa: ASYNC110 - neither store nor TorchServe tells of a change
            await asyncio.sleep(0.05)


async def placed(plane: Plane, key: ReleaseKey = KEY) -> set[str]:
    found = await plane.store.placements()
    return {name for name, ready in found.items() if ready.get(key)}


async def answered(server: TorchServe) -> int:
    """Return how many frames a TorchServe has answered since it started."""
    async with httpx.AsyncClient() as http:
        text = (await http.get(server.metrics_url)).text
    lines = [one for one in text.splitlines() if one.startswith("Requests2XX")]
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines))


async def test_a_backend_that_is_killed_is_filled_and_proved_while_the_other_serves(
    pair: Plane, image: bytes
) -> None:
    await pair.controller.deploy(await built(pair, "1.0"), who="test")
    await pair.controller.set_route(ROUTE, who="ann", why="")
    assert await running(pair) == {name: {"student-1.0"} for name in BOTH}
    assert await placed(pair) == BOTH

    second = pair.backends[1]
    (java,) = psutil.Process(second.server.pid).children()
    os.kill(java.pid, signal.SIGKILL)

    async def is_missed() -> bool:
        return await placed(pair) == {"backend-0"}

    async def is_back() -> bool:
        return await placed(pair) == BOTH

    await until(is_missed)
    reply = await pair.backends[0].inference.predict(KEY, image, timeout_s=10)
    assert reply.class_ids == (0, 1)
    await until(is_back)

    # Nobody but the golden frames has asked it since.
    assert await answered(second.server) > 0
    reply = await second.inference.predict(KEY, image, timeout_s=10)
    assert reply.class_ids == (0, 1)
    refills = [one for one in await pair.store.audit_log() if one.action == "release.refill"]
    assert [one.detail.partition(" ")[0] for one in refills] == ["backend-1"]


async def test_a_wrong_golden_frame_leaves_it_on_no_backend(pair: Plane) -> None:
    def elsewhere(card: Any) -> None:
        for detection in card.golden_frames[0].detections:
            detection.x1 -= 10

    path = await built(pair, "1.1", change_card=elsewhere)

    with pytest.raises(DeployFailed, match=r"student-1\.1 on backend backend-0: golden frames"):
        await pair.controller.deploy(path, who="test")

    assert await running(pair) == {name: set() for name in BOTH}
    assert await pair.store.placements() == {}
    failed = await pair.store.release(NEXT)
    assert failed is not None
    assert failed.state is ReleaseState.FAILED
    assert not pair.archives.path(failed.sha256).exists()


async def test_a_controller_that_was_killed_in_a_deploy_is_taken_up(
    tmp_path: Path, backends: tuple[Any, Any], archives: Any
) -> None:
    """At each step: the release is nowhere, on one backend, or on both without its frames."""
    async with open_plane(tmp_path, backends, archives) as plane:
        path = await built(plane, "1.0")
        archive = await asyncio.to_thread(plane.archives.take, path)
        await plane.controller.deploy(path, who="test")
        ready = await plane.store.release(KEY)
        await plane.controller.retire(KEY, who="test")
        await plane.controller.drained()
    assert ready is not None

    for state, loaded in (("staged", 0), ("loading", 1), ("warming", 2)):
        await asyncio.to_thread(plane.archives.take, path)
        for one in backends[:loaded]:
            await one.management.register(KEY, archive.path.name, workers=1, batch_size=8)
        async with open_store(f"sqlite+aiosqlite:///{tmp_path}/store") as store:
            await store.put_release(ready.model_copy(update={"state": ReleaseState(state)}))

        async with open_plane(tmp_path, backends, archives) as again:
            failed = await again.store.release(KEY)
            assert failed is not None
            assert failed.state is ReleaseState.FAILED, state
            assert "deploy it again" in failed.reason
            assert await running(again) == {name: set() for name in BOTH}, state
            assert not archive.path.exists()


async def test_a_replaced_controller_that_still_acts_undoes_nothing_of_its_successors(
    tmp_path: Path, pair: Plane, backends: tuple[Any, Any], archives: Any
) -> None:
    path = await built(pair, "1.0")
    deploying = asyncio.create_task(pair.controller.deploy(path, who="test"))

    async def is_loading() -> bool:
        found = await pair.store.release(KEY)
        return found is not None and found.state is ReleaseState.LOADING

    async def it_knows() -> bool:
        return not pair.controller.leads

    await until(is_loading)
    async with open_plane(tmp_path, backends, archives) as successor:
        with pytest.raises((LeaseLost, DeployFailed)):
            await deploying
        await until(it_knows)
        with pytest.raises(BackendUnavailable, match=r"leads: ask that one|does not lead yet"):
            await pair.controller.set_route(ROUTE, who="ann", why="")

        assert (await successor.controller.deploy(path, who="test")).state is ReleaseState.READY

        assert await running(successor) == {name: {"student-1.0"} for name in BOTH}
        assert await placed(successor) == BOTH


async def test_a_backend_that_is_gone_is_named_and_holds_up_no_other(
    tmp_path: Path, backends: tuple[Any, Any], archives: Any
) -> None:
    first = backends[0]
    token = first.server.management_token
    async with (
        ManagementClient("http://127.0.0.1:1", token) as management,
        InferenceClient("http://127.0.0.1:1", token) as inference,
        open_plane(tmp_path, [first], archives) as plane,
    ):
        path = await built(plane, "1.0")
        await plane.controller.deploy(path, who="test")
        await plane.controller.set_route(ROUTE, who="ann", why="")
        gone = Backend("backend-gone", inference, management)

        async with open_plane(tmp_path, [first, gone], archives, backend_timeout_s=1.0) as several:
            newer = await built(several, "1.1")
            with pytest.raises(DeployFailed, match="on backend backend-gone"):
                await several.controller.deploy(newer, who="test")
            await first.management.unregister(KEY)

            async def is_back() -> bool:
                found = await first.management.describe(KEY)
                return found is not None and found.ready_workers == 1

            await until(is_back)
            found = await several.controller.running()

    assert found["backend-gone"] is None
    assert [str(one.key) for one in found["backend-0"] or ()] == ["student-1.0"]
