"""A route with a shadow, before real workers: what the store, Prometheus and the folder tell."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from distill_jobs.data.dataset import Dataset
from proto.wire.v1 import detection_pb2 as wire
from serving.dataplane.frames import FrameLimits
from serving.dataplane.gateway import Call
from serving.dataplane.harvest_folder import HarvestFolder
from serving.dataplane.harvest_plan import HarvestPlan
from serving.dataplane.plane import DataPlane
from serving.metrics.gateway.metrics import Metrics
from serving.store import values
from serving.store.values import Arm, ReleaseKey, Route, Scope

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

# The teacher sees both objects of the picture, the student one of them and a ghost.
SEEN_BY_TEACHER = ((20, 20, 16, 16, 0.9, 0.01), (44, 40, 12, 20, 0.02, 0.8))
SEEN_BY_STUDENT = ((20, 21, 16, 16, 0.7, 0.01), (10, 50, 8, 8, 0.02, 0.6))
FRAMES = 6


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def arms(stage: Any) -> tuple[ReleaseKey, ReleaseKey]:
    """A teacher that answers and a student that does not agree."""
    teacher = await stage.deploy("teacher", boxes=SEEN_BY_TEACHER)
    student = await stage.deploy("student", boxes=SEEN_BY_STUDENT)
    return teacher, student


async def shadowed(stage: Any, teacher: ReleaseKey, student: ReleaseKey) -> int:
    """Route all cameras to the teacher, every frame to the student too; returns the revision."""
    route = Route(
        arms=(
            Arm(name="teacher", release=teacher, weight=100),
            Arm(name="student", release=student, weight=0),
        ),
        shadow=values.Shadow(arm="student", rate=1.0),
    )
    return int((await stage.controller.set_route(route, who="test", why="test")).revision)


async def test_disagreement_reaches_windows_metrics_and_a_data_set(
    stage: Any, arms: tuple[ReleaseKey, ReleaseKey], image: bytes, tmp_path: Path
) -> None:
    teacher, student = arms
    revision = await shadowed(stage, teacher, student)
    began = await stage.store.now() - timedelta(seconds=10)
    metrics = Metrics()
    plane = DataPlane(
        store=stage.store,
        backends={"backend-0": stage.backend.inference},
        metrics=metrics,
        limits=FrameLimits(),
        waiting_room=2,
        harvest=HarvestPlan(
            folder=tmp_path / "harvest", below_f1=0.9, max_per_minute_of_camera=100
        ),
    )

    async with plane.running() as gateway:
        for number in range(FRAMES):
            request = wire.DetectRequest(image=image, camera_id=f"gate-{number % 2}")
            answer = await gateway.detect(request, Call("r", Scope.DETECT))
            assert answer.answered_by.arm == "teacher"

    windows = [
        one
        for one in await stage.store.windows("default", since=began, revision=revision)
        if one.kind == "shadow"
    ]
    sums = [one.agreement for one in windows if one.agreement is not None]
    assert {(one.arm, one.release) for one in windows} == {("student", student)}
    assert sum(one.codes["ok"] for one in windows) == FRAMES
    assert sum(one.frames for one in sums) == FRAMES
    assert sum(one.f1 for one in sums) == pytest.approx(FRAMES * 2 * 1 / 4)
    assert sum(one.count_difference for one in sums) == 0
    assert {name for one in windows for name in one.cameras} == {"gate-0", "gate-1"}

    text = metrics.text().decode()
    assert f'outcome="compared",route="default",version="1.0"}} {FRAMES}.0' in text
    assert f'understudy_harvest_frames_total{{outcome="kept"}} {FRAMES}.0' in text

    (data_set,) = HarvestFolder(tmp_path / "harvest").data_sets()
    dataset = Dataset.load(data_set / "data.yaml")
    samples = [*dataset.split("train"), *dataset.split("val")]
    assert len(samples) == FRAMES
    # 64 input pixels of the detector are 96 of the picture.
    read = [one.read_labels(96, 96) for one in samples]
    class_ids, boxes = read[0]
    assert class_ids.tolist() == [0, 1]
    assert boxes[0].tolist() == pytest.approx([18, 18, 42, 42], abs=0.1)
    frame = HarvestFolder(tmp_path / "harvest").frames()[0]
    said = json.loads(frame.answers.read_text())
    assert said["labels_from"] == "primary"
    assert (said["primary"]["release"], said["shadow"]["release"]) == ("teacher-1.0", "student-1.0")
    assert frame.image.read_bytes() == image


async def test_a_drain_ends_when_a_frame_that_only_the_shadow_has_is_back(
    stage: Any, arms: tuple[ReleaseKey, ReleaseKey], image: bytes
) -> None:
    teacher, _ = arms
    slow = await stage.deploy("slow", busy=24, batch_size=1)
    applied = await shadowed(stage, teacher, slow)
    async with asyncio.timeout(5):
        while stage.plane.routes.table.revision < applied:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)

    await stage.detect(image)
    counted = stage.in_flight(slow)
    revision = await stage.route(teacher)
    async with asyncio.timeout(20):
        while await stage.store.holders(slow, revision):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)

    assert counted == 1
    assert stage.in_flight(slow) == 0
