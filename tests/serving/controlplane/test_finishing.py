"""Cancelled or not: what must be done is done, and a deploy is ready or undone."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from serving.controlplane.archives import ArchiveStore
from serving.controlplane.controller import Controller
from serving.controlplane.finishing import finish, until_one_ends
from serving.errors import LeaseLost
from serving.store.store import Store
from serving.store.values import ReleaseState


async def test_finished_work_gives_its_result_or_its_error() -> None:
    async def answer() -> int:
        return 7

    async def fail() -> int:
        raise LeaseLost("no")

    assert await finish(answer()) == 7
    with pytest.raises(LeaseLost):
        await finish(fail())


async def test_a_cancellation_waits_for_the_work() -> None:
    begun, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await go_on.wait()
        done.set()

    task = asyncio.create_task(finish(work()))
    await begun.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set()


async def test_the_first_that_fails_ends_the_others() -> None:
    ended = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def fail() -> None:
        await asyncio.sleep(0)
        raise LeaseLost("no")

    with pytest.raises(LeaseLost):
        await until_one_ends(wait(), fail())
    assert ended.is_set()


async def test_a_deploy_that_is_cancelled_at_any_moment_is_ready_or_undone(
    store: Store, tmp_path: Path, archives: Any
) -> None:
    copies = ArchiveStore(
        tmp_path / "copies", model_store=tmp_path, trusted_keys=[archives.public_key]
    )
    path = archives.build(tmp_path, "student", "1.0")
    ends: set[ReleaseState] = set()
    async with Controller(store, copies, [], holder="test", reconcile_s=60) as controller:
        await controller.taken_up()
        for states in _MOMENTS:
            deploying = asyncio.create_task(controller.deploy(path, who="test"))
            ends.add(await _cancelled_at(deploying, store, states))
            (release,) = await store.releases()

            assert copies.path(release.sha256).exists() == (release.state is ReleaseState.READY)
            actions = [one.action for one in await store.audit_log(1)]
            done = release.state is ReleaseState.READY
            assert actions == ["release.deploy" if done else "release.failed"]
            if done:
                await controller.retire(release.key, who="test")
                await controller.drained()
    assert ends <= {ReleaseState.READY, ReleaseState.FAILED}


_MOMENTS: tuple[Callable[[ReleaseState], bool], ...] = (
    lambda state: state is ReleaseState.STAGED,
    lambda state: state is ReleaseState.LOADING,
    lambda state: state is ReleaseState.WARMING,
    lambda state: state is ReleaseState.READY,
) * 3


async def _cancelled_at(
    deploying: "asyncio.Task[Any]", store: Store, is_then: Callable[[ReleaseState], bool]
) -> ReleaseState:
    while not deploying.done():
        found = await store.releases()
        if found and is_then(found[0].state):
            deploying.cancel()
    with suppress(asyncio.CancelledError):  # it may have been faster
        await deploying
    return (await store.releases())[0].state
