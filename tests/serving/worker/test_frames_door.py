"""Bytes through the frames' door, both ways, under both loops that may run it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest
import uvloop
from certificates import Authority

from serving.api.listening import bind
from serving.tls.server_tls import ServerTls
from serving.worker.frames_door import frames_door

LARGE = 8 * 1024 * 1024


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop_of(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    factory: Callable[[], asyncio.AbstractEventLoop] = request.param
    return factory


class Echo:
    """Stands for TorchServe: sends back what it gets, and counts who came."""

    def __init__(self) -> None:
        self.came = 0
        self.gone = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        try:
            while part := await reader.read(65536):
                writer.write(part)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.gone.set()
            writer.close()


@asynccontextmanager
async def door(authority: Authority, echo: Echo | None) -> AsyncIterator[int]:
    """Open a door before `echo`, or before nobody; yields its port."""
    tls = ServerTls(authority.files(authority.issue(), clients=True))
    inner = await asyncio.start_server(echo or Echo(), "127.0.0.1", 0)
    port = inner.sockets[0].getsockname()[1]
    if echo is None:
        inner.close()
        await inner.wait_closed()
    with closing(bind("127.0.0.1", 0, "inference_port")) as listener:
        async with frames_door(listener, tls.context, port):
            yield listener.getsockname()[1]
    inner.close()


async def connect(
    authority: Authority, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    known: ssl.SSLContext = authority.client(authority.issue("gateway")).context()
    return await asyncio.open_connection("127.0.0.1", port, ssl=known)


def test_what_goes_in_comes_out_whole_however_slowly_it_is_read(
    authority: Authority, loop_of: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def passed() -> bytes:
        echo = Echo()
        async with asyncio.timeout(30), door(authority, echo) as port:
            reader, writer = await connect(authority, port)
            writer.write(b"\x5a" * LARGE)
            got = await reader.readexactly(LARGE)
            writer.close()
            await echo.gone.wait()
        return got

    with asyncio.Runner(loop_factory=loop_of) as runner:
        assert runner.run(passed()) == b"\x5a" * LARGE


def test_where_nobody_listens_behind_it_the_connection_ends(
    authority: Authority, loop_of: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def ended() -> bytes:
        async with asyncio.timeout(30), door(authority, None) as port:
            reader, writer = await connect(authority, port)
            rest = await reader.read()
            writer.close()
        return rest

    with asyncio.Runner(loop_factory=loop_of) as runner:
        assert runner.run(ended()) == b""


def test_connections_that_stand_end_with_the_door(
    authority: Authority, loop_of: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def ended() -> bytes:
        echo = Echo()
        async with asyncio.timeout(30):
            async with door(authority, echo) as port:
                reader, writer = await connect(authority, port)
                writer.write(b"frame")
                await reader.readexactly(5)
            rest = await reader.read()
            writer.close()
            await echo.gone.wait()
        return rest

    with asyncio.Runner(loop_factory=loop_of) as runner:
        assert runner.run(ended()) == b""


def test_a_stranger_s_bytes_reach_nobody(
    authority: Authority, loop_of: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def came() -> int:
        echo = Echo()
        async with asyncio.timeout(30), door(authority, echo) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /predictions/a/1.0 HTTP/1.1\r\n\r\n")
            with suppress(ConnectionError):
                await reader.read()
            writer.close()
        return echo.came

    with asyncio.Runner(loop_factory=loop_of) as runner:
        assert runner.run(came()) == 0
