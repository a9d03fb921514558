"""Cameras of a gateway that says nothing any more: cut off, or hanging."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from stream_server import serving_streams

from proto.wire.v1 import detection_pb2 as wire
from serving.client import AsyncDetectClient, DetectClient


def frame(frame_id: str) -> wire.DetectRequest:
    return wire.DetectRequest(image=b"jpeg", camera_id="gate-7", frame_id=frame_id)


def patience_ms(port: int) -> list[int]:
    """Return how long TCP waits for an acknowledgement on this process's connections to a port."""
    found = []
    for name in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile, or connected to nobody
            if not str(name.readlink()).startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(name.name))) as one:
                if one.family != socket.AF_UNIX and one.getpeername()[1] == port:
                    found.append(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
    return found


async def test_tcp_gives_a_gateway_up_that_acknowledges_nothing_for_four_seconds() -> None:
    async with serving_streams(auth=False) as served:
        port = int(served.address.rpartition(":")[2])
        async with AsyncDetectClient(served.address, None) as client:
            await client.detect(frame("1"))
            patient = patience_ms(port)
        with DetectClient(served.address, None) as blocking:
            await asyncio.to_thread(blocking.detect, frame("2"))
            blocking_patient = patience_ms(port)

    assert set(patient) == {4000}
    assert set(blocking_patient) == {4000}


class Line:
    """Passes bytes on to a gateway until it goes dark: from then on nothing is heard of it."""

    def __init__(self, address: str) -> None:
        self._host, _, self._port = address.rpartition(":")
        self._light = asyncio.Event()
        self._light.set()
        self._connections: list[asyncio.Task[None]] = []

    def go_dark(self) -> None:
        self._light.clear()

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.append(asyncio.create_task(self._join(reader, writer)))

    async def close(self) -> None:
        for one in self._connections:
            one.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(self._host, int(self._port))
        await asyncio.gather(self._pass(reader, there[1]), self._pass(there[0], writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while part := await reader.read(65536):
                await self._light.wait()
                writer.write(part)
        finally:
            writer.close()


@asynccontextmanager
async def line_to(address: str) -> AsyncIterator[tuple[str, Line]]:
    line = Line(address)
    async with await asyncio.start_server(line.connected, "127.0.0.1", 0) as server:
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", line
        finally:
            await line.close()


@pytest.mark.slow  # 20 s of waiting; with gRPC's own limits it would be 90
async def test_a_frame_at_a_gateway_that_hangs_is_asked_again_at_another() -> None:
    frames: asyncio.Queue[wire.DetectRequest] = asyncio.Queue()

    async def sent() -> AsyncIterator[wire.DetectRequest]:
        while True:
            yield await frames.get()

    async with (
        serving_streams("a", auth=False) as a,
        serving_streams("b", auth=False) as b,
        line_to(a.address) as (to_a, line_a),
        line_to(b.address) as (to_b, line_b),
        AsyncDetectClient([to_a, to_b], None) as client,
    ):
        answers = client.live(sent())
        frames.put_nowait(frame("1"))
        first = (await anext(answers)).answered_by.arm
        hanging, line, other = (a, line_a, b) if first == "a" else (b, line_b, a)
        frames.put_nowait(frame("held-2"))
        await hanging.answering.until_came("held-2")

        line.go_dark()
        other.answering.let()
        async with asyncio.timeout(50):
            answer = await anext(answers)

    assert (answer.frame_id, answer.answered_by.arm) == ("held-2", other.answering.name)
