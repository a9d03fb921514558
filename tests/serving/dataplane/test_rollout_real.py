"""Two planted faults before real workers: rolled back with the evidence, unasked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from typing import Any

import cv2
import numpy as np
import pytest
import pytest_asyncio

from proto.wire.v1 import detection_pb2 as wire
from serving.dataplane.deadline import Deadline
from serving.dataplane.gateway import Call
from serving.dataplane.routing import bucket
from serving.errors import UnderstudyError
from serving.store.rollouts_values import (
    Guardrails,
    Hold,
    Rollout,
    RolloutPlan,
    RolloutState,
)
from serving.store.values import Arm, ReleaseKey, ReleaseState, Route, Scope

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

OTHER_BOXES = ((12, 40, 10, 10, 0.9, 0.01), (50, 12, 10, 20, 0.02, 0.8))
FRAMES_A_SECOND = 6
# Six cameras on each half of the split.
_NUMBERED = [f"gate-{number}" for number in range(100)]
CAMERAS = [name for name in _NUMBERED if bucket(name) < 5000][:6]
CAMERAS += [name for name in _NUMBERED if bucket(name) >= 5000][:6]
# This machine's own hiccups are no fault of an arm.
PLAN = RolloutPlan(
    arm="student",
    stages=(50, 100),
    hold=Hold(seconds=5, samples=100),
    guardrails=Guardrails(max_p99_ratio=100),
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def teacher(stage: Any) -> ReleaseKey:
    key: ReleaseKey = await stage.deploy("teacher")
    return key


@asynccontextmanager
async def watching(stage: Any, images: list[bytes]) -> AsyncIterator[None]:
    """Let every camera send its frames, whatever becomes of them."""
    tasks = [asyncio.create_task(_watch(stage, name, images)) for name in CAMERAS]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(end) for end in ends} == {asyncio.CancelledError}


async def _watch(stage: Any, camera: str, images: list[bytes]) -> None:
    for image in cycle(images):
        request = wire.DetectRequest(image=image, camera_id=camera)
        call = Call("r", Scope.DETECT, deadline=Deadline.after(2))
        with suppress(UnderstudyError):
            await stage.plane.gateway.detect(request, call)
        await asyncio.sleep(1 / FRAMES_A_SECOND)


async def ended(stage: Any, plan: RolloutPlan) -> Rollout:
    """Start a rollout once the cameras are known, and wait for its end; the store calls nobody."""
    since = await stage.store.now()
    async with asyncio.timeout(90):
        while not await stage.store.windows("default", since=since):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        rollout: Rollout = await stage.controller.rollouts.start(plan, who="test")
        while not rollout.state.ended:
            await asyncio.sleep(0.2)
            rollout = await stage.store.rollout(rollout.id)
    return rollout


async def route_of(stage: Any, teacher: ReleaseKey, student: ReleaseKey) -> Route:
    route = Route(
        arms=(
            Arm(name="teacher", release=teacher, weight=100),
            Arm(name="student", release=student, weight=0),
        )
    )
    await stage.controller.set_route(route, who="test", why="before the rollout")
    return route


async def test_a_student_that_sees_other_things_is_rolled_back(
    stage: Any, teacher: ReleaseKey, image: bytes
) -> None:
    student = await stage.deploy("student", boxes=OTHER_BOXES)
    before = await route_of(stage, teacher, student)

    async with watching(stage, [image]):
        rollout = await ended(stage, PLAN.model_copy(update={"shadow_rate": 1.0}))

    assert rollout.state is RolloutState.ROLLED_BACK
    assert rollout.breach is not None
    assert rollout.breach.guardrail == "agreement"
    assert rollout.breach.estimate < 0.2
    assert rollout.breach.cameras >= 5
    assert (await stage.store.routes())["default"].route == before
    assert (await stage.store.release(student)).state is ReleaseState.LIVE


async def test_a_student_whose_model_fails_is_rolled_back(
    stage: Any, teacher: ReleaseKey, image: bytes
) -> None:
    student = await stage.deploy("student", "1.1", fails_on_white=True)
    before = await route_of(stage, teacher, student)
    white = bytes(cv2.imencode(".jpg", np.full((96, 96, 3), 255, np.uint8))[1].tobytes())

    async with watching(stage, [image, image, white]):
        rollout = await ended(stage, PLAN)

    assert rollout.state is RolloutState.ROLLED_BACK
    assert rollout.breach is not None
    assert rollout.breach.guardrail == "errors"
    assert rollout.breach.estimate > 0.2
    assert (await stage.store.routes())["default"].route == before
    answer = await stage.detect(white)
    assert answer.answered_by.arm == "teacher"
