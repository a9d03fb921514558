"""The series of a release go with it, and stay away: whatever is told of it later."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from scripted_backends import STUDENT, TEACHER, Scene, open_scene, release_of

from serving.errors import DeadlineExceeded, WorkerFailed
from serving.store.values import Arm, Fallback, ReleaseState, Route, Shadow


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_scene(tmp_path, backends=1) as opened:
        yield opened


async def retire_student(scene: Scene) -> None:
    """Take it off the route and retire it, as a controller does once it owes nothing."""
    assert scene.in_flight(STUDENT) == 0
    arms = (Arm(name="teacher", release=TEACHER, weight=100),)
    await scene.store.put_route(Route(arms=arms), who="test", why="it fails")
    await scene.store.put_placements("backend-0", {TEACHER: 1})
    await put_student(scene, ReleaseState.RETIRED)


async def put_student(scene: Scene, state: ReleaseState) -> None:
    await scene.store.put_release(release_of(STUDENT).model_copy(update={"state": state}))
    await scene.plane.routes.refresh()


def series(scene: Scene) -> list[str]:
    lines = scene.metrics.text().decode().splitlines()
    return [line for line in lines if 'model="student"' in line]


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not reached():  # noqa: ASYNC110 - neither backend nor gateway tells
            await asyncio.sleep(0)


async def test_a_release_that_is_retired_while_another_answers_for_it(scene: Scene) -> None:
    backend = scene.backends["backend-0"]
    await scene.route(student=100, fallback=Fallback(arm="teacher", budget=1.0))
    await scene.detect()
    assert series(scene)

    backend.standing[STUDENT] = WorkerFailed("it raised")
    backend.hold[TEACHER] = asyncio.Event()
    under_way = asyncio.create_task(scene.detect(timeout_s=20))
    await until(lambda: len(backend.asked) == 3)
    await retire_student(scene)
    backend.hold[TEACHER].set()

    assert (await under_way).answered_by.stood_in_for == "student"
    assert series(scene) == []


async def test_a_call_to_it_that_was_left_alone_ends_later(tmp_path: Path) -> None:
    async with open_scene(tmp_path, backends=2) as scene:
        # Whoever is asked first hangs, is given company, and is left.
        hangs = scene.backends["backend-0"]
        hangs.hold[STUDENT] = asyncio.Event()
        hangs.standing[STUDENT] = DeadlineExceeded("too late")
        await scene.route(student=100)
        while not hangs.asked:
            await scene.detect(timeout_s=2)
        await scene.store.put_placements("backend-1", {TEACHER: 1})
        await retire_student(scene)
        hangs.hold[STUDENT].set()
        for _ in range(8):
            await asyncio.sleep(0)

        assert series(scene) == []


async def test_the_primary_of_a_comparison_that_ends_later(scene: Scene) -> None:
    backend = scene.backends["backend-0"]
    await scene.route(student=100, shadow=Shadow(arm="teacher", rate=1.0))
    backend.hold[TEACHER] = asyncio.Event()
    await scene.detect()
    await until(lambda: len(backend.asked) == 2)
    await retire_student(scene)
    backend.hold[TEACHER].set()
    await until(lambda: not scene.in_flight(TEACHER))

    assert b'outcome="compared",route="default",version="1.0"} 1.0' in scene.metrics.text()
    assert series(scene) == []


async def test_a_release_that_comes_back_is_counted_again(scene: Scene) -> None:
    await scene.route(student=100)
    await scene.detect()
    await retire_student(scene)
    await put_student(scene, ReleaseState.LIVE)
    await scene.place("backend-0", teacher=1, student=1)
    await scene.route(student=100)
    await scene.detect()

    labels = {"route": "default", "arm": "student", "model": "student", "version": "1.0"}
    assert scene.sample("understudy_request_seconds_count", **labels, code="ok") == 1
    breaker = {"backend": "backend-0", "model": "student", "version": "1.0"}
    assert scene.metrics.registry.get_sample_value("understudy_breaker_state", breaker) == 0
