import asyncio
import os
import signal
from typing import Any

import pytest
import pytest_asyncio

from serving.dataplane.deadline import Deadline
from serving.dataplane.gateway import Call
from serving.errors import BackendUnavailable, DeadlineExceeded, Overloaded
from serving.store.values import ReleaseKey, ReleaseState, Scope

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


async def turned_to(reached: Any, timeout_s: float = 20.0) -> None:
    """Wait for something that happens elsewhere: in the store, in a worker."""
    async with asyncio.timeout(timeout_s):
        while not await reached():  # noqa: ASYNC110 - nothing else tells of it
            await asyncio.sleep(0.01)


def patient() -> Call:
    """Return a call whose deadline no slow machine misses."""
    return Call("r", Scope.DETECT, Deadline.after(60))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def quick(stage: Any) -> ReleaseKey:
    """A release that answers at once."""
    key: ReleaseKey = await stage.deploy("quick")
    return key


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def busy(stage: Any) -> ReleaseKey:
    """A release that takes a tenth of a second or more, a frame at a time: 2 places."""
    key: ReleaseKey = await stage.deploy("busy", busy=12, batch_size=1)
    return key


async def test_without_a_route_the_answer_says_what_to_do(stage: Any, image: bytes) -> None:
    with pytest.raises(BackendUnavailable, match="no route yet: deploy a release"):
        await stage.detect(image)


async def test_a_new_route_is_applied_by_itself_and_a_heartbeat_tells_so(
    stage: Any, quick: ReleaseKey, image: bytes
) -> None:
    revision = await stage.route(quick)

    answer = await stage.detect(image)

    assert answer.answered_by.arm == "main"
    await stage.beaten(revision)


async def test_a_full_release_turns_away_and_every_place_comes_back(
    stage: Any, busy: ReleaseKey, image: bytes
) -> None:
    await stage.route(busy)

    # 2 places (2 x 1 worker x batch 1) and 2 in the waiting room.
    ends = await asyncio.gather(*[stage.detect(image) for _ in range(7)], return_exceptions=True)

    refused = [end for end in ends if isinstance(end, Overloaded)]
    assert len(refused) == 3
    assert all(end.retry_after_s > 0 for end in refused)
    assert sum(hasattr(end, "detections") for end in ends) == 4
    assert stage.in_flight(busy) == 0
    assert len((await stage.detect(image)).detections) == 2


async def test_work_past_its_deadline_or_abandoned_in_the_queue_is_never_sent(
    stage: Any, busy: ReleaseKey, image: bytes
) -> None:
    await stage.route(busy)
    before, expired = stage.answered(busy), stage.expired(busy)
    sent = [asyncio.create_task(stage.detect(image)) for _ in range(2)]
    await asyncio.sleep(0)  # both take their places

    late = Call("late", Scope.DETECT, Deadline.after(0.01))
    abandoned = asyncio.create_task(stage.detect(image))
    with pytest.raises(DeadlineExceeded, match="nothing was sent"):
        await stage.detect(image, late)
    abandoned.cancel()
    await asyncio.wait([abandoned])
    await asyncio.gather(*sent)

    assert abandoned.cancelled()
    assert stage.answered(busy) == before + 2
    assert stage.expired(busy) == expired + 1
    assert stage.in_flight(busy) == 0


async def test_a_caller_who_leaves_keeps_the_place_until_the_worker_answers(
    stage: Any, busy: ReleaseKey, image: bytes
) -> None:
    await stage.route(busy)

    with pytest.raises(DeadlineExceeded, match="did not answer before the deadline"):
        await stage.detect(image, Call("r", Scope.DETECT, Deadline.after(0.02)))

    assert stage.in_flight(busy) == 1

    async def over() -> bool:
        return bool(stage.in_flight(busy) == 0)

    await turned_to(over)


async def test_a_drain_waits_for_a_frame_that_an_older_route_sent(
    stage: Any, busy: ReleaseKey, quick: ReleaseKey, image: bytes
) -> None:
    await stage.route(busy)
    under_way = [asyncio.create_task(stage.detect(image)) for _ in range(4)]
    await asyncio.sleep(0)
    revision = await stage.route(quick)
    await stage.beaten(revision)

    before = await stage.store.holders(busy, revision)
    still_under_way = not all(one.done() for one in under_way)
    answers = await asyncio.gather(*under_way)

    async def drained() -> bool:
        return not await stage.store.holders(busy, revision)

    await turned_to(drained, timeout_s=1.0)
    assert still_under_way
    assert len(before) == 1
    assert {answer.answered_by.model for answer in answers} == {"busy"}


async def test_swaps_and_drains_under_load_lose_nothing_and_old_series_go(
    stage: Any, image: bytes
) -> None:
    first, second, third = [await stage.deploy("yolo", version) for version in ("1", "2", "3")]
    await stage.route(first)
    versions: list[str] = []
    stop = asyncio.Event()

    async def camera() -> None:
        while not stop.is_set():
            versions.append((await stage.detect(image)).answered_by.version)

    async with asyncio.TaskGroup() as cameras:
        for _ in range(4):
            cameras.create_task(camera())
        for release in (second, first) * 10:
            await stage.route(release)
        assert b'model="yolo",route="default",version="1"' in stage.metrics.text()
        await stage.route(second)
        await stage.route(third)  # drains the first: the second is standby now
        await stage.controller.drained()
        answered = len(versions)

        async def more() -> bool:
            return len(versions) > answered + 8

        await turned_to(more)
        stop.set()

    async def forgotten() -> bool:
        return b'model="yolo",route="default",version="1"' not in stage.metrics.text()

    await turned_to(forgotten)
    assert set(versions) == {"1", "2", "3"}
    assert set(versions[-8:]) == {"3"}
    assert (await stage.store.release(first)).state is ReleaseState.RETIRED
    running = (await stage.controller.running())["backend-0"]
    assert first not in {one.key for one in running}
    assert b'model="yolo",route="default",version="2"' in stage.metrics.text()


async def test_a_frame_outlives_the_worker_it_was_sent_to(
    stage: Any, busy: ReleaseKey, image: bytes
) -> None:
    await stage.route(busy)
    (worker,) = (await stage.backend.management.describe(busy)).workers
    under_way = [asyncio.create_task(stage.detect(image, patient())) for _ in range(3)]
    await asyncio.sleep(0)

    os.kill(worker.pid, signal.SIGKILL)
    answers = await asyncio.gather(*under_way)

    assert {answer.answered_by.model for answer in answers} == {"busy"}
    assert stage.in_flight(busy) == 0


async def test_a_version_that_its_backend_lost_answers_when_it_is_back(
    stage: Any, quick: ReleaseKey, image: bytes
) -> None:
    await stage.route(quick)
    await stage.backend.management.unregister(quick)

    answer = await stage.detect(image, patient())

    assert answer.answered_by.model == "quick"
    assert answer.answered_by.backend == "backend-0"


async def test_a_gateway_that_stops_leaves_no_row(stage: Any) -> None:
    (before,) = await stage.store.gateways()

    async with stage.plane.running():
        pass

    assert before.id == stage.plane.id
    assert await stage.store.gateways() == []
