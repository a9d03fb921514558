"""The clients before a real TorchServe, real workers and the real handler."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest
import pytest_asyncio

from serving.errors import (
    BackendUnavailable,
    BadImage,
    DeadlineExceeded,
    ImageTooLarge,
    Overloaded,
    StaleRoute,
    WorkerDied,
    WorkerFailed,
)
from serving.store.values import ReleaseKey
from serving.torchserve.inference import InferenceClient, WorkerReply
from serving.torchserve.management import ManagementClient

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

KEY = ReleaseKey(model="student", version="1.0")
BUSY = ReleaseKey(model="student", version="1.1")
# With BUSY's products a frame takes some tenths of a second.
BUSY_PRODUCTS = 10


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def loaded(backend: Any, archives: Any) -> AsyncIterator[Any]:
    """A quick and a slow version of one model, both loaded."""
    for registration in await backend.management.list():
        await backend.management.unregister(registration.key)
    folder = backend.server.config.archives
    for key, busy in ((KEY, 0), (BUSY, BUSY_PRODUCTS)):
        path = await asyncio.to_thread(archives.build, folder, key.model, key.version, busy=busy)
        await backend.management.register(key, path.name, workers=1, batch_size=4)
    yield backend
    for key in (KEY, BUSY):
        await backend.management.unregister(key)
        for file in folder.glob(f"{key}.mar*"):
            file.unlink()


async def test_a_frame_is_answered_by_the_version_that_was_asked(loaded: Any, image: bytes) -> None:
    reply = await loaded.inference.predict(KEY, image, timeout_s=10)
    assert (reply.width, reply.height, reply.class_ids) == (96, 96, (0, 1))
    assert reply.scores == pytest.approx((0.9, 0.8), abs=1e-3)
    # (20, 20, 16, 16) of a 64-pixel input, on a 96-pixel image.
    assert reply.boxes_xyxy_px[:4] == pytest.approx((18, 18, 42, 42), abs=0.1)
    assert reply.variant == "onnxruntime-fp32"
    assert reply.batch == 1


async def test_options_reach_the_worker(loaded: Any, image: bytes) -> None:
    predict = loaded.inference.predict
    low = await predict(KEY, image, min_score=0.005, timeout_s=10)
    assert len(low.scores) > 2
    assert len((await predict(KEY, image, min_score=0.85, timeout_s=10)).scores) == 1
    assert len((await predict(KEY, image, max_detections=1, timeout_s=10)).scores) == 1


async def test_a_bad_frame_gets_the_workers_words_and_its_mates_their_answers(
    loaded: Any, image: bytes
) -> None:
    predict = loaded.inference.predict
    frames = [image, b"not an image", image, image[: len(image) // 2], image]
    replies = await asyncio.gather(
        *(predict(BUSY, frame, timeout_s=30) for frame in frames), return_exceptions=True
    )
    assert [type(reply) for reply in replies] == [
        WorkerReply,
        BadImage,
        WorkerReply,
        BadImage,
        WorkerReply,
    ]
    assert max(reply.batch for reply in replies if isinstance(reply, WorkerReply)) > 1
    assert replies[1].field == "image"


async def test_a_body_over_the_limit_is_refused(loaded: Any) -> None:
    too_large = bytes(loaded.server.config.max_image_bytes + 100_000)
    # TorchServe answers 413, or has already closed the connection while we still send.
    with pytest.raises((ImageTooLarge, BackendUnavailable)):
        await loaded.inference.predict(KEY, too_large, timeout_s=10)


async def test_a_large_body_within_the_limit_arrives_whole(loaded: Any, image: bytes) -> None:
    # What follows a JPEG's end is no part of it.
    large = image + bytes(loaded.server.config.max_image_bytes - len(image))
    reply = await loaded.inference.predict(KEY, large, timeout_s=30)
    assert reply.class_ids == (0, 1)


async def test_a_version_that_is_not_loaded_is_a_stale_route(loaded: Any, image: bytes) -> None:
    for text in ("student-9.9", "nobody-1.0"):
        with pytest.raises(StaleRoute, match=text):
            await loaded.inference.predict(ReleaseKey.parse(text), image, timeout_s=10)


async def test_a_deadline_ends_the_wait(loaded: Any, image: bytes) -> None:
    with pytest.raises(DeadlineExceeded, match="no answer within 1 ms"):
        await loaded.inference.predict(BUSY, image, timeout_s=0.001)


async def test_the_worker_skips_what_has_expired_and_answers_its_mates(
    loaded: Any, image: bytes
) -> None:
    replies = await asyncio.gather(
        *(
            loaded.inference.predict(KEY, image, timeout_s=10, deadline_unix_ms=deadline_ms)
            for deadline_ms in (None, int(1000 * time.time()), 9_999_999_999_999)
        ),
        return_exceptions=True,
    )
    assert [type(reply) for reply in replies] == [WorkerReply, DeadlineExceeded, WorkerReply]


async def test_a_version_without_workers_is_overloaded(loaded: Any, image: bytes) -> None:
    await loaded.management.scale(KEY, 0)
    with pytest.raises(Overloaded) as refused:
        await loaded.inference.predict(KEY, image, timeout_s=10)
    assert refused.value.retry_after_s > 0
    await loaded.management.scale(KEY, 1)
    assert (await loaded.management.describe(KEY)).ready_workers == 1
    assert (await loaded.inference.predict(KEY, image, timeout_s=10)).batch == 1


async def test_a_killed_worker_fails_its_frame_only(loaded: Any, image: bytes) -> None:
    (told,) = (await loaded.management.describe(BUSY)).workers
    worker = psutil.Process(told.pid)
    idle_s = sum(worker.cpu_times()[:2])
    running = asyncio.create_task(loaded.inference.predict(BUSY, image, timeout_s=30))
    while sum(worker.cpu_times()[:2]) == idle_s:  # noqa: ASYNC110 - nobody tells that it works
        await asyncio.sleep(0.005)
    worker.kill()
    with pytest.raises(WorkerDied, match=r"a worker of student-1\.1 died"):
        await running
    assert (await loaded.inference.predict(BUSY, image, timeout_s=30)).class_ids == (0, 1)


async def test_the_default_version_can_be_unregistered_too(loaded: Any, archives: Any) -> None:
    listed = {str(one.key): one for one in await loaded.management.list()}
    assert set(listed) == {"student-1.0", "student-1.1"}
    assert listed["student-1.0"].archive == "student-1.0.mar"
    assert listed["student-1.0"].batch_size == 4
    await loaded.management.unregister(KEY)  # registered first, so it is the default
    assert await loaded.management.describe(KEY) is None
    await loaded.management.unregister(KEY)
    await loaded.management.register(KEY, "student-1.0.mar", workers=1, batch_size=4)


async def test_nothing_is_fetched_or_read_from_elsewhere(loaded: Any) -> None:
    key = ReleaseKey(model="stranger", version="1.0")
    archive = loaded.server.config.archives / "student-1.0.mar"
    for url in (archive.as_uri(), "http://127.0.0.1:9/x.mar", "../student-1.0.mar", "absent.mar"):
        with pytest.raises(WorkerFailed, match="refused POST /models"):
            await loaded.management.register(key, url, workers=1, batch_size=1)
    assert await loaded.management.describe(key) is None


async def test_tokens_are_read_again_after_a_restart_and_a_wrong_one_is_told(
    loaded: Any, image: bytes
) -> None:
    server = loaded.server
    stale = server.inference_token
    stale._value = "wrong"
    async with InferenceClient(server.inference_url, stale) as client:
        assert (await client.predict(KEY, image, timeout_s=10)).class_ids == (0, 1)
    other = server.management_token
    async with ManagementClient(server.inference_url, other) as client:
        with pytest.raises(WorkerFailed):
            await client.list()


async def test_a_torchserve_that_is_gone_is_unavailable(loaded: Any, image: bytes) -> None:
    server = loaded.server
    async with InferenceClient("http://127.0.0.1:1", server.inference_token) as client:
        with pytest.raises(BackendUnavailable):
            await client.predict(KEY, image, timeout_s=10)
    async with ManagementClient("http://127.0.0.1:1", server.management_token) as client:
        with pytest.raises(BackendUnavailable):
            await client.list()
