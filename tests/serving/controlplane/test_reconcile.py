"""What a kill leaves, and what becomes of it."""

import asyncio
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from serving.errors import BackendUnavailable, StaleRoute
from serving.store.values import Arm, Release, ReleaseKey, ReleaseState, Route

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

KEY = ReleaseKey(model="student", version="1.0")
NEXT = ReleaseKey(model="student", version="1.1")
ROUTE = Route(arms=(Arm(name="student", release=KEY, weight=100),))


async def deploy(plane: Any, version: str) -> None:
    path = await asyncio.to_thread(plane.build, "student", version)
    await plane.controller.deploy(path, who="test")


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


async def is_loading(plane: Any) -> bool:
    found = await plane.store.release(KEY)
    return found is not None and found.state is ReleaseState.LOADING


async def test_a_torchserve_that_comes_back_empty_is_filled_again(plane: Any, image: bytes) -> None:
    await deploy(plane, "1.0")
    await plane.controller.set_route(ROUTE, who="ann", why="")
    server = plane.backend.server
    again = asyncio.Event()
    server.on_restart(again.set)
    (java,) = psutil.Process(server.pid).children()
    workers = java.children(recursive=True)

    os.kill(java.pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        await again.wait()
    # Whoever inherits them may be slow to reap them.
    assert not [one for one in workers if is_alive(one)]
    with pytest.raises((StaleRoute, BackendUnavailable)):
        await plane.backend.inference.predict(KEY, image, timeout_s=10)
    await plane.controller.reconcile()

    reply = await plane.backend.inference.predict(KEY, image, timeout_s=10)
    assert reply.class_ids == (0, 1)
    assert (await plane.store.release(KEY)).state is ReleaseState.LIVE
    assert "release.refill" in [one.action for one in await plane.store.audit_log()]


async def test_a_deploy_that_was_cut_off_is_undone(plane: Any) -> None:
    await deploy(plane, "1.0")
    done = await plane.store.release(KEY)
    # As a kill leaves it: loaded in TorchServe, its state not yet ready.
    await plane.store.put_release(done.model_copy(update={"state": ReleaseState.WARMING}))

    await plane.controller.reconcile()

    failed = await plane.store.release(KEY)
    assert failed.state is ReleaseState.FAILED
    assert "deploy it again" in failed.reason
    assert await plane.backend.management.list() == ()
    assert not plane.archives.path(done.sha256).exists()

    path = plane.model_store / "student-1.0.mar"
    assert (await plane.controller.deploy(path, who="test")).state is ReleaseState.READY


async def test_a_cancelled_deploy_leaves_nothing_loaded(plane: Any) -> None:
    path = await asyncio.to_thread(plane.build, "student", "1.0")
    deploying = asyncio.create_task(plane.controller.deploy(path, who="test"))
    async with asyncio.timeout(30):
        while not await is_loading(plane):  # noqa: ASYNC110 - the store tells nobody of a change
            await asyncio.sleep(0.01)
    deploying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deploying

    assert (await plane.store.release(KEY)).state is ReleaseState.FAILED
    await plane.controller.reconcile()
    assert await plane.backend.management.list() == ()


async def test_what_nobody_wants_is_removed(plane: Any) -> None:
    path = await asyncio.to_thread(plane.build, "student", "1.0")
    archive = await asyncio.to_thread(plane.archives.take, path)
    await plane.backend.management.register(KEY, archive.path.name, workers=1, batch_size=8)

    await plane.controller.reconcile()

    assert await plane.backend.management.list() == ()
    assert not archive.path.exists()


async def test_a_change_that_was_cut_off_after_the_route_is_finished(plane: Any) -> None:
    await deploy(plane, "1.0")
    await deploy(plane, "1.1")
    await plane.controller.set_route(ROUTE, who="ann", why="")
    newer = ROUTE.model_copy(update={"arms": (Arm(name="student", release=NEXT, weight=100),)})
    await plane.store.put_route(newer, who="ann", why="killed right after this")

    await plane.controller.reconcile()

    assert (await plane.store.release(NEXT)).state is ReleaseState.LIVE
    assert (await plane.store.release(KEY)).state is ReleaseState.STANDBY


async def test_a_drain_that_was_cut_off_is_taken_up(plane: Any) -> None:
    await deploy(plane, "1.0")
    done = await plane.store.release(KEY)
    await plane.store.put_release(done.model_copy(update={"state": ReleaseState.DRAINING}))

    await plane.controller.reconcile()
    async with asyncio.timeout(10):
        await plane.controller.drained()

    assert (await plane.store.release(KEY)).state is ReleaseState.RETIRED
    assert await plane.backend.management.list() == ()


async def test_a_lost_private_copy_is_reported_and_the_rest_is_loaded(
    plane: Any, tmp_path: Path
) -> None:
    await deploy(plane, "1.0")
    now = datetime.now(UTC)
    lost = Release(
        key=NEXT,
        sha256="0" * 64,
        role="student",
        class_names=("cell", "plate"),
        operating_thresholds=(0.25, 0.25),
        quality_measured=False,
        state=ReleaseState.READY,
        created=now,
        updated=now,
    )
    await plane.store.put_release(lost)
    await plane.backend.management.unregister(KEY)

    with pytest.raises(Exception, match=r"student-1\.1: its private copy is gone"):
        await plane.controller.reconcile()

    assert [str(one.key) for one in await plane.backend.management.list()] == ["student-1.0"]
