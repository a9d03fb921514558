"""TLS before TorchServe's port for frames: bytes go through as they come, unread.

TorchServe itself listens on the loopback interface alone then. Its own TLS knows no clients'
certificates, and takes up a new one only when it is started again.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import structlog

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def frames_door(
    listener: socket.socket, tls: ssl.SSLContext, port: int
) -> AsyncIterator[None]:
    """Pass connections on for as long as the block runs; those that stand end with it.

    Args:
        listener: Where gateways connect.
        tls: What they are shown, and asked for.
        port: TorchServe's, on the loopback interface.
    """
    opened: set[_Outer] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Outer(port, opened), sock=listener, ssl=tls
    )
    try:
        yield
    finally:
        server.close()
        for one in tuple(opened):
            one.close()
        await server.wait_closed()


class _Side(asyncio.Protocol):
    """One of two connections: what comes here goes out there, as fast as that takes it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are no subclasses of asyncio's.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            self.other.close()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


class _Outer(_Side):
    """A gateway's connection; nothing of it is read until TorchServe has taken its other half."""

    def __init__(self, port: int, opened: "set[_Outer]") -> None:
        super().__init__()
        self._port = port
        self._opened = opened
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._opened.add(self)
        ours = cast("asyncio.Transport", transport)
        ours.pause_reading()
        self._connecting = asyncio.create_task(self._connect(ours))

    def connection_lost(self, exc: Exception | None) -> None:
        self._opened.discard(self)
        if self._connecting is not None:
            self._connecting.cancel()
        super().connection_lost(exc)

    async def _connect(self, transport: asyncio.Transport) -> None:
        inner = _Side()
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: inner, "127.0.0.1", self._port
            )
        except OSError as error:
            # TorchServe is being started: its gateway asks another worker, or again.
            _log.warning("frames_not_passed_on", error=str(error))
            transport.close()
            return
        inner.other, self.other = self, inner
        transport.resume_reading()
