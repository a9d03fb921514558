"""Ports that are held, shared and inherited."""

import asyncio
import collections
import socket
from contextlib import AsyncExitStack, closing
from typing import Any

import grpc
import pytest
from fastapi import FastAPI

from serving.api.grpc_listening import bind_grpc
from serving.api.listening import authority, bind, hold, http_server
from serving.errors import ConfigurationError


class Answering(grpc.GenericRpcHandler):
    """Answers every call with its own name."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def service(self, _: Any) -> Any:
        async def answer(_request: bytes, _context: Any) -> bytes:
            return self._name

        return grpc.unary_unary_rpc_method_handler(answer)


async def answered(port: int, calls: int, host: str = "127.0.0.1") -> "collections.Counter[bytes]":
    """Call over a new connection each time."""
    counts: collections.Counter[bytes] = collections.Counter()
    own_connection = [("grpc.use_local_subchannel_pool", 1)]
    for _ in range(calls):
        async with grpc.aio.insecure_channel(authority(host, port), own_connection) as channel:
            counts[await channel.unary_unary("/a/b")(b"", timeout=10)] += 1
    return counts


async def test_two_grpc_servers_share_a_held_port_and_the_holder_takes_no_connection() -> None:
    with closing(hold("127.0.0.1", 0, "grpc_port")) as holder:
        port = holder.getsockname()[1]
        listeners = [
            bind_grpc("127.0.0.1", port, image_limit_bytes=1024, shared=True) for _ in range(2)
        ]
        for name, listener in zip((b"first", b"second"), listeners, strict=True):
            listener.server.add_generic_rpc_handlers((Answering(name),))
            await listener.server.start()

        both = await answered(port, 40)
        await listeners[0].server.stop(0)
        alone = await answered(port, 10)
        await listeners[1].server.stop(0)
        with socket.socket() as caller:
            refused = caller.connect_ex(("127.0.0.1", port))

    assert [listener.port for listener in listeners] == [port, port]
    assert set(both) == {b"first", b"second"}
    assert sum(both.values()) == 40
    assert alone == {b"second": 10}
    assert refused != 0


@pytest.mark.parametrize("take", [bind, hold])
async def test_a_held_port_is_taken_for_everyone_else(take: Any) -> None:
    with (
        closing(hold("127.0.0.1", 0, "grpc_port")) as holder,
        pytest.raises(ConfigurationError, match="cannot be listened on"),
    ):
        take("127.0.0.1", holder.getsockname()[1], "grpc_port")


async def test_a_port_that_strangers_share_is_taken_too() -> None:
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()

        with pytest.raises(ConfigurationError, match="cannot be listened on"):
            hold("127.0.0.1", stranger.getsockname()[1], "grpc_port")


@pytest.mark.parametrize("host", ["0.0.0.0", "::1"])  # noqa: S104 - closed at once
async def test_other_addresses_are_held_and_shared_alike(host: str) -> None:
    with closing(hold(host, 0, "grpc_port")) as holder:
        port = holder.getsockname()[1]
        listener = bind_grpc(host, port, image_limit_bytes=1024, shared=True)
        listener.server.add_generic_rpc_handlers((Answering(b"here"),))
        await listener.server.start()
        counts = await answered(port, 2, "::1" if ":" in host else "127.0.0.1")
        await listener.server.stop(0)

    assert counts == {b"here": 2}


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert authority("::1", 80) == "[::1]:80"
    assert authority("127.0.0.1", 80) == "127.0.0.1:80"


class HttpConnection:
    """A keep-alive connection, by hand: a client library would close or exchange it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def answer(self) -> bytes:
        self._writer.write(b"GET /name HTTP/1.1\r\nhost: here\r\n\r\n")
        head = await self._reader.readuntil(b"\r\n\r\n")
        await self._reader.readexactly(len(b'"me"'))
        return head

    async def rest(self) -> bytes:
        left = await self._reader.read()
        self._writer.close()
        await self._writer.wait_closed()
        return left


async def until_refused(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:  # refused, or reset: it waited to be accepted
                return
            writer.close()
            await writer.wait_closed()


async def test_a_server_that_leaves_answers_what_comes_over_its_connections_first() -> None:
    app = FastAPI()
    app.get("/name")(lambda: "me")
    listener = bind("127.0.0.1", 0, "http_port")
    port = listener.getsockname()[1]
    async with AsyncExitStack() as serving:
        await serving.enter_async_context(
            http_server(app, listener, stop_timeout_s=5, linger_s=600)
        )
        idle, fresh = [
            HttpConnection(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(2)
        ]
        first = await idle.answer()

        leaving = asyncio.create_task(serving.aclose())
        await until_refused(port)
        last = [await connection.answer() for connection in (idle, fresh)]
        async with asyncio.timeout(30):  # far below what it may linger: nobody is left
            await leaving

    assert b"connection: close" not in first
    assert all(b"200 OK" in head and b"connection: close" in head for head in last)
    assert [await connection.rest() for connection in (idle, fresh)] == [b"", b""]
