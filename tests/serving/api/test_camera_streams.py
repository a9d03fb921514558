"""Cameras' connections, over the real gRPC service."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
import pytest
from stream_server import IMAGE_LIMIT, Answering, Camera, Keys, camera, serving_streams

from proto.wire.v1 import detection_pb2 as wire
from proto.wire.v1 import detection_pb2_grpc
from serving.access.authenticator import Authenticator
from serving.api.camera_stream import CameraStream
from serving.api.image_budget import ImageBudget
from serving.api.stream_ends import Claims, Ending, StreamLimits
from serving.api.stream_frames import StreamFrames
from serving.dataplane.calls import Call
from serving.dataplane.deadline import Deadline
from serving.errors import BackendUnavailable, PermissionDenied
from serving.metrics.gateway.metrics import Metrics
from serving.store.values import Scope


def trailing(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    return dict(error.trailing_metadata())


def told(error: grpc.aio.AioRpcError) -> wire.Error:
    return wire.Error.FromString(trailing(error)["understudy-error-bin"])


async def until(reached: Any) -> None:
    """Wait for what happens in the server's own tasks."""
    async with asyncio.timeout(10):
        while not reached():  # noqa: ASYNC110 - nothing of the server's is to be awaited
            await asyncio.sleep(0.005)


async def test_when_behind_the_newest_wins_and_the_others_are_answered_as_dropped() -> None:
    async with serving_streams(auth=False) as served, camera(served) as sender:
        await sender.send("held-1", "held-2")
        await served.answering.until_came("held-1", "held-2")

        await sender.send("stale-1", "stale-2", "newest")
        await sender.finish()
        await until(lambda: served.frames("dropped") == 2)
        served.answering.let()
        answers = await sender.rest()

        assert [one.frame_id for one in answers] == [
            *("held-1", "held-2", "stale-1", "stale-2", "newest")
        ]
        assert [one.dropped for one in answers] == [False, False, True, True, False]
        assert not any(one.HasField("error") for one in answers)
        assert all(one.camera_id == "gate-7" and one.request_id for one in answers)
        assert served.frames("answered") == 3
        assert served.budget.held_bytes == 0


async def test_a_frame_carries_the_metadata_that_a_route_may_split_by() -> None:
    async with serving_streams(auth=False) as served, camera(served, x_site="berlin") as sender:
        await sender.send("1")
        await sender.next()

    assert served.answering.calls[0].headers["x-site"] == "berlin"


async def test_a_stream_that_asks_for_every_frame_gets_every_frame() -> None:
    async with (
        serving_streams(auth=False, places_for_all=3) as served,
        camera(served, x_when_behind="wait") as sender,
    ):
        await sender.send(*(f"held-{n}" for n in range(40)))
        await sender.finish()
        served.answering.let()
        answers = await sender.rest()

    assert [one.frame_id for one in answers] == [f"held-{n}" for n in range(40)]
    assert not any(one.dropped for one in answers)


@pytest.mark.parametrize(
    ("metadata", "field"),
    [({"x_when_behind": "hurry"}, "x-when-behind"), ({"x_timeout_ms": "soon"}, "x-timeout-ms")],
)
async def test_a_stream_that_asks_for_nonsense_ends_before_its_first_frame(
    metadata: dict[str, str], field: str
) -> None:
    async with serving_streams(auth=False) as served, camera(served, **metadata) as sender:
        error = await sender.end()

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert told(error).field == field


async def test_a_failed_frame_is_told_in_its_answer_and_does_not_end_the_stream() -> None:
    async with serving_streams(auth=False) as served, camera(served) as sender:
        served.answering.raises = [BackendUnavailable("gone"), PermissionDenied("arm: admins only")]
        answers = []
        for frame_id in ("1", "2", "3"):
            await sender.send(frame_id)
            answers.append(await sender.next())

        assert [one.error.code for one in answers] == [
            *("backend_unavailable", "permission_denied", "")
        ]
        assert served.frames("failed") == 2


async def test_a_revoked_key_ends_a_stream_that_sends_nothing() -> None:
    async with serving_streams() as served:
        id_, key = await served.keys.make("gate")
        async with camera(served, key) as sender:
            await sender.send("1")
            await sender.next()

            served.keys.revoke(id_)
            error = await sender.end()

    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "was revoked" in str(error.details())


async def test_the_newer_of_two_streams_of_one_camera_wins() -> None:
    async with serving_streams(auth=False) as served, camera(served) as older:
        await older.send("held-1")
        await served.answering.until_came("held-1")
        async with camera(served) as newer:
            await newer.send("1")
            first = await newer.next()
            served.answering.let()
            last = await older.next()
            error = await older.end()
            await newer.send("2")
            second = await newer.next()

    assert (first.frame_id, second.frame_id, last.frame_id) == ("1", "2", "held-1")
    assert error.code() is grpc.StatusCode.ABORTED
    assert told(error).code == "camera_taken_over"
    assert "'gate-7'" in told(error).message


async def test_cameras_of_another_name_route_or_key_do_not_take_over() -> None:
    async with serving_streams() as served:
        _, one = await served.keys.make("one")
        _, other = await served.keys.make("other")
        async with (
            camera(served, one) as first,
            camera(served, other) as of_another_key,
            camera(served, one, camera_id="gate-8") as of_another_name,
            camera(served, one) as of_another_route,
            camera(served, one, camera_id="") as nameless,
            camera(served, one, camera_id="") as nameless_too,
        ):
            routes = ["", "", "", "solo", "", ""]
            everyone = [first, of_another_key, of_another_name, of_another_route]
            everyone += [nameless, nameless_too]
            for _ in range(2):
                for sender, route in zip(everyone, routes, strict=True):
                    await sender.send("1", route=route)
                    answer = await sender.next()
                    assert not answer.HasField("error")


async def test_a_stream_is_of_one_camera_on_one_route() -> None:
    async with serving_streams(auth=False) as served, camera(served) as sender:
        answers = []
        for fields in ({}, {"camera_id": "gate-8"}, {"route": "solo"}, {}):
            await sender.send("1", **fields)
            answers.append(await sender.next())

    assert [one.error.field for one in answers] == ["", "camera_id", "route", ""]
    assert "'gate-7'" in answers[1].error.message


async def test_an_old_stream_is_asked_to_connect_again_after_its_answers() -> None:
    async with (
        serving_streams(auth=False, age_s=0.2, jitter=0.0) as served,
        camera(served) as sender,
    ):
        await sender.send("held-1")
        await served.answering.until_came("held-1")
        await asyncio.sleep(0.3)  # it grows old
        served.answering.let()
        last = await sender.next()
        error = await sender.end()

    assert last.frame_id == "held-1"
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert told(error).code == "stream_ended"
    assert 1 <= int(trailing(error)["grpc-retry-pushback-ms"]) <= 50
    assert served.frames("answered") == 1


async def test_a_stream_on_which_nothing_comes_ends() -> None:
    async with serving_streams(auth=False, idle_s=0.1) as served, camera(served) as sender:
        error = await sender.end()

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "no frame came" in str(error.details())


async def test_a_slow_answer_is_not_idleness() -> None:
    async with serving_streams(auth=False, idle_s=0.1) as served, camera(served) as sender:
        await sender.send("held-1")
        await served.answering.until_came("held-1")
        await asyncio.sleep(0.3)
        served.answering.let()

        assert (await sender.next()).frame_id == "held-1"


async def test_a_drain_answers_what_came_and_asks_to_connect_again() -> None:
    answers: list[str] = []
    async with (
        serving_streams(auth=False) as served,
        camera(served) as sender,
        camera(served, camera_id="idle") as idle,
    ):
        await idle.send("1")
        await idle.next()
        await sender.send("held-1", "held-2", "held-3")
        await until(lambda: served.budget.held_bytes == 3 * len(b"jpeg"))  # all three were read

        served.stopping.set()
        ended = await idle.end()
        served.answering.let()
        answers += [(await sender.next()).frame_id for _ in range(3)]
        also_ended = await sender.end()

    assert answers == ["held-1", "held-2", "held-3"]
    for error in (ended, also_ended):
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "this server stops" in str(error.details())


async def test_a_frame_over_the_limit_fails_alone() -> None:
    async with serving_streams(auth=False) as served, camera(served) as sender:
        await sender.send("large", image=bytes(2 * IMAGE_LIMIT))
        large = await sender.next()
        await sender.send("small")
        small = await sender.next()

    assert large.error.code == "image_too_large"
    assert not small.HasField("error")


async def test_names_that_nobody_has_are_not_carried_back() -> None:
    async with serving_streams(auth=False) as served, camera(served) as sender:
        await sender.send("x" * 1000)
        answer = await sender.next()

    assert answer.error.field == "frame_id"
    assert answer.frame_id == ""


async def test_images_beyond_the_budget_are_refused_whichever_way_they_come() -> None:
    async with (
        serving_streams(auth=False, budget_bytes=100) as served,
        camera(served) as holding,
        camera(served, camera_id="gate-8") as refused,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        await holding.send("held-1", image=bytes(80))
        await served.answering.until_came("held-1")

        await refused.send("1", image=bytes(30))
        answer = await refused.next()
        with pytest.raises(grpc.aio.AioRpcError) as alone:
            await detection_pb2_grpc.DetectionServiceStub(channel).Detect(
                wire.DetectRequest(image=bytes(30))
            )
        served.answering.let()
        await holding.next()
        await refused.send("2", image=bytes(30))
        accepted = await refused.next()

        assert answer.error.code == "overloaded"
        assert alone.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not accepted.HasField("error")
        assert served.budget.held_bytes == 0


async def test_a_camera_that_vanishes_leaves_nothing_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving_streams(auth=False) as served:
        for answered in (False, True):  # it leaves before its answers, and in the midst of them
            async with camera(served) as sender:
                await sender.send("held-1", "held-2", "held-3")
                await served.answering.until_came("held-1", "held-2")
                if answered:
                    served.answering.let()

            await until(lambda: served.budget.held_bytes == 0)
        async with camera(served) as sender:
            await sender.send("1")
            assert (await sender.next()).frame_id == "1"

    assert not [one for one in caplog.records if one.levelname == "ERROR"]


async def flood(sender: Camera) -> "asyncio.Task[None]":
    """Send frames whose answers nobody reads, until no more are taken; return the last's sending.

    It must not be cancelled: gRPC would cancel the whole call.
    """
    for n in range(10_000):
        sending = asyncio.create_task(sender.send(f"wordy-{n}", image=bytes(16 * 1024)))
        if not (await asyncio.wait((sending,), timeout=0.5))[0]:
            return sending
    raise AssertionError("it was never held back")


async def test_one_who_does_not_read_its_answers_is_held_back_and_hurts_nobody_else() -> None:
    async with (
        serving_streams(auth=False, unanswered=20) as served,
        camera(served) as deaf,
        camera(served, camera_id="gate-8") as other,
    ):
        last = await flood(deaf)
        read = served.frames("answered") + served.frames("dropped")

        for n in range(20):
            await other.send(str(n))
            assert (await other.next()).frame_id == str(n)

        assert served.budget.held_bytes <= 3 * 16 * 1024
        assert served.frames("answered") + served.frames("dropped") == read + 20
        last.cancel()


async def test_one_who_reads_nothing_for_long_is_let_go() -> None:
    async with (
        serving_streams(auth=False, unanswered=20, stall_s=0.3) as served,
        camera(served) as deaf,
    ):
        last = await flood(deaf)
        await until(lambda: served.budget.held_bytes == 0)

        error = await deaf.end()
        await asyncio.gather(last, return_exceptions=True)

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "was not taken" in str(error.details())


async def test_a_stream_whose_camera_leaves_at_an_answer_ends_after_its_other_frames() -> None:
    answering, budget, ending = Answering("student"), ImageBudget(100), Ending()
    anyone = Authenticator(Keys(), enabled=False)
    ends: list[str] = []
    sending = asyncio.Event()

    async def answer(
        request: wire.DetectRequest, id_: str, deadline: Deadline | None
    ) -> wire.DetectResponse:
        try:
            return await answering.detect(request, Call(id_, Scope.DETECT, deadline))
        finally:
            await asyncio.sleep(0.01)
            ends.append(request.frame_id)

    async def requests() -> AsyncIterator[wire.DetectRequest]:
        for frame_id in ("1", "held-2"):
            yield wire.DetectRequest(image=b"jpeg", camera_id="gate-7", frame_id=frame_id)
        await asyncio.Event().wait()

    async def never_taken(_: wire.DetectResponse) -> None:
        sending.set()
        await asyncio.Event().wait()

    with budget.account() as account:
        frames = StreamFrames(
            answer=answer,
            claims=Claims(),
            account=account,
            metrics=Metrics(),
            timeout_text=None,
            ending=ending,
        )
        stream = CameraStream(
            frames,
            ending=ending,
            check_key=partial(anyone.authenticate, None, Scope.DETECT),
            limits=StreamLimits(),
            every_frame=False,
        )
        running = asyncio.create_task(stream.run(requests(), never_taken, asyncio.Event()))
        await sending.wait()
        await answering.until_came("held-2")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        ended = list(ends)
        held_bytes = budget.held_bytes

    assert ended == ["1", "held-2"]
    assert held_bytes == 0
