"""Two real gateways on one port, killed in turn: no client's request is lost."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from deployment import Deployment, deployed

from proto.wire.v1 import detection_pb2 as wire
from serving.client import (
    AsyncDetectClient,
    BlockingHttpDetectClient,
    DetectClient,
    HttpDetectClient,
)

pytestmark = pytest.mark.slow

Ask = Callable[[wire.DetectRequest], Awaitable[wire.DetectResponse]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, archives: Any) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("shared")
    with deployed(folder, archives, UNDERSTUDY_GATEWAYS="2") as running:
        running.deploy("student")
        running.set_route(student=100)
        yield running


async def kill_in_turn(shared: Deployment) -> None:
    for name in ("gateway-1", "gateway-2"):
        os.kill(shared.pid(name), signal.SIGKILL)
        await asyncio.to_thread(
            shared.until, lambda name=name: shared.processes()[name].restarts == 1
        )


async def ask_until(done: asyncio.Event, ask: Ask, image: bytes, camera_id: str) -> int:
    """Return how many frames were answered; raises what one came to."""
    answered = 0
    while not done.is_set():
        answer = await ask(wire.DetectRequest(image=image, camera_id=camera_id))
        assert len(answer.detections) == 2
        answered += 1
    return answered


async def watch_until(
    done: asyncio.Event, client: AsyncDetectClient, image: bytes
) -> list[wire.DetectResponse]:
    async def frames() -> AsyncIterator[wire.DetectRequest]:
        number = 0
        while not done.is_set():
            yield wire.DetectRequest(image=image, camera_id="live", frame_id=str(number))
            number += 1
            await asyncio.sleep(0.02)

    return [answer async for answer in client.live(frames())]


async def test_no_client_loses_a_frame_when_gateways_are_killed(
    shared: Deployment, image: bytes
) -> None:
    done = asyncio.Event()
    grpc_address, http_url = shared.addresses.grpc_address, shared.addresses.http_url
    with (
        DetectClient(grpc_address, shared.key) as blocking,
        BlockingHttpDetectClient(http_url, shared.key) as blocking_http,
    ):
        async with (
            AsyncDetectClient(grpc_address, shared.key) as client,
            HttpDetectClient(http_url, shared.key) as http,
        ):
            asks: list[Ask] = [
                client.detect,
                client.detect,
                http.detect,
                http.detect,
                lambda one: asyncio.to_thread(blocking.detect, one),
                lambda one: asyncio.to_thread(blocking_http.detect, one),
            ]
            cameras = [
                asyncio.create_task(ask_until(done, ask, image, f"camera-{number}"))
                for number, ask in enumerate(asks)
            ]
            live = asyncio.create_task(watch_until(done, client, image))
            await kill_in_turn(shared)
            done.set()
            answered = await asyncio.gather(*cameras)
            seen = await live

    assert min(answered) > 0
    assert [one.frame_id for one in seen] == [str(n) for n in range(len(seen))]
    assert not [one.error.message for one in seen if one.HasField("error")]
    assert len([one for one in seen if one.detections]) > len(seen) / 2
