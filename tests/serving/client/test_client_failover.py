"""Clients before gateways that go away, refuse and come back."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import cast

import pytest
from stream_server import Answering, Keys, Served, camera, serving_streams

from proto.wire.v1 import detection_pb2 as wire
from serving.access.authenticator import Authenticator
from serving.api.http import create_http
from serving.api.listening import bind, http_server
from serving.client import (
    AsyncDetectClient,
    BlockingHttpDetectClient,
    DetectClient,
    HttpDetectClient,
)
from serving.dataplane.frames import FrameLimits
from serving.dataplane.gateway import Gateway
from serving.errors import (
    BackendUnavailable,
    BadImage,
    CameraTakenOver,
    DeadlineExceeded,
    Overloaded,
    StaleRoute,
    Unauthenticated,
    UnderstudyError,
    WorkerFailed,
)
from serving.metrics.gateway.metrics import Metrics

# A gateway that is killed takes what is under way with it.
dies_at_once = partial(serving_streams, auth=False, stop_timeout_s=0.05)
NOBODY = "127.0.0.1:1"


def frame(frame_id: str = "1", image: bytes = b"jpeg") -> wire.DetectRequest:
    return wire.DetectRequest(image=image, camera_id="gate-7", frame_id=frame_id)


@asynccontextmanager
async def serving_http() -> AsyncIterator[tuple[str, Answering]]:
    answering = Answering("student")
    gateway = SimpleNamespace(detect=answering.detect, limits=FrameLimits())
    app = create_http(
        cast(Gateway, gateway), Authenticator(Keys(), enabled=False), Metrics(), lambda: None
    )
    listener = bind("127.0.0.1", 0, "http_port")
    async with http_server(app, listener, stop_timeout_s=5):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", answering


@pytest.mark.parametrize("given", ["as text", "as a list"])
async def test_one_address_that_nobody_answers_at_is_enough_to_be_answered(given: str) -> None:
    async with serving_streams(auth=False) as served:
        both = [NOBODY, served.address]
        address = ",".join(both) if given == "as text" else both
        async with AsyncDetectClient(address, None) as client:
            answers = [await client.detect(frame(str(n))) for n in range(6)]
        with DetectClient(address, None) as blocking:
            answers += [
                await asyncio.to_thread(blocking.detect, frame(str(n))) for n in range(6, 12)
            ]

    assert [one.frame_id for one in answers] == [str(n) for n in range(12)]


async def test_the_same_over_http() -> None:
    async with serving_http() as (url, _):
        address = f"http://{NOBODY},{url}"
        async with HttpDetectClient(address, None) as client:
            answers = [await client.detect(frame(str(n))) for n in range(6)]
        with BlockingHttpDetectClient(address, None) as blocking:
            answers += [
                await asyncio.to_thread(blocking.detect, frame(str(n))) for n in range(6, 12)
            ]

    assert [one.frame_id for one in answers] == [str(n) for n in range(12)]


@pytest.mark.parametrize(
    "error", [BackendUnavailable("gone"), StaleRoute("moved on"), WorkerFailed("died")]
)
async def test_what_a_gateway_could_not_answer_is_asked_again(error: UnderstudyError) -> None:
    async with (
        serving_streams(auth=False) as served,
        AsyncDetectClient(served.address, None) as client,
        serving_http() as (url, answering),
        HttpDetectClient(url, None) as http,
    ):
        for one in (served.answering, answering):
            one.raises = [error]
        answers = [await client.detect(frame()), await http.detect(frame())]
        with DetectClient(served.address, None) as blocking:
            served.answering.raises = [error]
            answers.append(await asyncio.to_thread(blocking.detect, frame()))

        assert [one.frame_id for one in answers] == ["1", "1", "1"]
        assert (len(served.answering.came), len(answering.came)) == (4, 2)


async def test_a_refusal_for_want_of_places_is_tried_again_after_its_hint() -> None:
    async with (
        serving_streams(auth=False) as served,
        AsyncDetectClient(served.address, None) as client,
    ):
        served.answering.raises = [Overloaded("full", retry_after_s=0.05)]
        answer = await client.detect(frame())
        served.answering.raises = [Overloaded("full", retry_after_s=30.0)]
        with pytest.raises(Overloaded):
            await client.detect(frame(), timeout_s=5)

    assert answer.frame_id == "1"


async def test_bad_input_is_asked_once() -> None:
    async with (
        serving_streams(auth=False) as served,
        AsyncDetectClient(served.address, None) as client,
    ):
        served.answering.raises = [BadImage("image", "not readable")]
        with pytest.raises(BadImage):
            await client.detect(frame())

    assert served.answering.came == ["1"]


async def test_one_who_never_answers_is_tried_last_afterwards() -> None:
    # Connections wait in the backlog; nobody ever takes one.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        async with serving_streams(auth=False) as served:
            address = f"{host}:{port},{served.address}"
            async with AsyncDetectClient(address, None) as client:
                late = 0
                for n in range(4):
                    try:
                        await client.detect(frame(str(n)), timeout_s=0.5)
                    except DeadlineExceeded:
                        late += 1

    assert late <= 1


async def test_calls_under_way_when_a_gateway_dies_are_answered_by_another() -> None:
    async with serving_streams("other", auth=False) as other, AsyncExitStack() as dying:
        served = await dying.enter_async_context(dies_at_once("dying"))
        address = f"{served.address},{other.address}"
        async with AsyncDetectClient(address, None) as client:
            asked = [asyncio.create_task(client.detect(frame(f"held-{n}"))) for n in range(8)]
            await until_all_came(8, served, other)
            other.answering.let()
            await dying.aclose()
            answers = await asyncio.gather(*asked)

    assert len(served.answering.came) == 4
    assert {one.answered_by.arm for one in answers} == {"other"}


async def until_all_came(count: int, *servers: Served) -> None:
    async with asyncio.timeout(10):
        while sum(len(one.answering.came) for one in servers) < count:  # noqa: ASYNC110 - two servers
            await asyncio.sleep(0.005)


class Source:
    """A camera's frames, sent when a test says so."""

    def __init__(self) -> None:
        self._frames: asyncio.Queue[wire.DetectRequest | None] = asyncio.Queue()

    def send(self, *frame_ids: str) -> None:
        for frame_id in frame_ids:
            self._frames.put_nowait(frame(frame_id))

    def finish(self) -> None:
        self._frames.put_nowait(None)

    async def frames(self) -> AsyncIterator[wire.DetectRequest]:
        while (one := await self._frames.get()) is not None:
            yield one


def told(answer: wire.DetectResponse) -> tuple[str, bool]:
    return answer.frame_id, answer.dropped


async def test_a_live_stream_goes_on_at_another_gateway_with_its_newest_frame() -> None:
    source, ends = Source(), list[UnderstudyError]()
    async with AsyncExitStack() as clients, AsyncExitStack() as a, AsyncExitStack() as b:
        servers = {
            "a": await a.enter_async_context(dies_at_once("a")),
            "b": await b.enter_async_context(dies_at_once("b")),
        }
        addresses = [one.address for one in servers.values()]
        client = await clients.enter_async_context(AsyncDetectClient(addresses, None))
        answers = client.live(
            source.frames(), reconnecting=lambda error, _pause_s: ends.append(error)
        )
        source.send("0")
        first = (await anext(answers)).answered_by.arm
        other = "b" if first == "a" else "a"
        for frame_id in ("held-1", "held-2"):
            source.send(frame_id)
            await servers[first].answering.until_came(frame_id)

        servers[other].answering.let()
        await {"a": a, "b": b}[first].aclose()
        lost, again = await anext(answers), await anext(answers)
        source.send("3")
        source.finish()
        rest = [told(one) async for one in answers]

    assert told(lost) == ("held-1", True)
    assert (told(again), again.answered_by.arm) == (("held-2", False), other)
    assert rest == [("3", False)]
    assert len(ends) == 1


async def test_a_live_stream_waits_for_a_single_gateway_that_starts_again() -> None:
    source = Source()
    async with AsyncExitStack() as clients:
        async with serving_streams(auth=False) as served:
            port = int(served.address.rpartition(":")[2])
            client = await clients.enter_async_context(AsyncDetectClient(served.address, None))
            answers = client.live(source.frames())
            source.send("1")
            await anext(answers)
        coming = asyncio.ensure_future(anext(answers))
        source.send("2")
        async with serving_streams(auth=False, port=port):
            async with asyncio.timeout(10):
                answer = await coming
            source.finish()
            rest = [one async for one in answers]

    assert told(answer) == ("2", False)
    assert rest == []


async def test_where_every_frame_counts_none_is_dropped_on_the_way() -> None:
    source, ends = Source(), list[UnderstudyError]()
    async with (
        serving_streams(auth=False, age_s=0.05, spread_s=0.01) as served,
        AsyncDetectClient(served.address, None) as client,
    ):
        answers = client.live(
            source.frames(),
            every_frame=True,
            reconnecting=lambda error, _pause_s: ends.append(error),
        )
        seen = []
        for n in range(60):
            source.send(str(n))
            seen.append(told(await anext(answers)))
            await asyncio.sleep(0.005)
        source.finish()

    assert seen == [(str(n), False) for n in range(60)]
    assert ends


async def test_a_live_stream_ends_where_connecting_again_is_of_no_use() -> None:
    async with serving_streams() as served:
        id_, key = await served.keys.make("gate")
        source = Source()
        async with AsyncDetectClient(served.address, key) as client:
            answers = client.live(source.frames())
            source.send("1")
            await anext(answers)
            served.keys.revoke(id_)
            with pytest.raises(Unauthenticated, match="was revoked"):
                await anext(answers)

    async with AsyncDetectClient([NOBODY], None) as client:
        source.send("1")
        with pytest.raises(BackendUnavailable, match=NOBODY):
            await anext(client.live(source.frames()))


async def test_a_live_stream_gives_its_camera_up_to_another_sender() -> None:
    async with serving_streams(auth=False) as served:
        source = Source()
        async with AsyncDetectClient(served.address, None) as client, camera(served) as newer:
            answers = client.live(source.frames())
            source.send("1")
            await anext(answers)
            await newer.send("2")
            await newer.next()
            with pytest.raises(CameraTakenOver):
                await anext(answers)


async def test_a_camera_that_fails_ends_its_live_stream_with_its_own_error() -> None:
    async def broken() -> AsyncIterator[wire.DetectRequest]:
        yield frame("1")
        raise OSError("the lens fell off")

    async with (
        serving_streams(auth=False) as served,
        AsyncDetectClient(served.address, None) as client,
    ):
        with pytest.raises(OSError, match="lens"):
            _ = [one async for one in client.live(broken())]
