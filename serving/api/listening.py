"""An HTTP application on a port, inside our own loop."""

import asyncio
import math
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvicorn
from fastapi import FastAPI

from serving.errors import ConfigurationError

_BACKLOG = 2048
_LOOK_EVERY_S = 0.02


@asynccontextmanager
async def http_server(
    app: FastAPI,
    listener: socket.socket,
    *,
    stop_timeout_s: float,
    linger_s: float = 0.0,
    websockets: bool = False,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[None]:
    """Serve until the block ends; requests under way then get `stop_timeout_s` to finish.

    Args:
        app: What is served.
        listener: From `bind`.
        stop_timeout_s: In seconds.
        linger_s: How long connections without a request are kept at the end, in seconds: closed at
            once, they would fail a request that is on its way.
        websockets: Whether the application takes them.
        tls: Of every connection; None: they are in clear.
    """
    # No signal handlers and no log set-up of its own: both are the program's.
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="websockets-sansio" if websockets else "none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=math.ceil(stop_timeout_s),
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    ticking = asyncio.create_task(server.main_loop())
    try:
        yield
    finally:
        server.should_exit = True
        await ticking
        await _last_requests(server, linger_s)
        await server.shutdown(sockets=[listener])


async def _last_requests(server: uvicorn.Server, linger_s: float) -> None:
    """Take no new connection, and let each that there is have one more answer, which ends it."""
    for one in server.servers:
        one.close()
    state = server.server_state
    state.default_headers = [*state.default_headers, (b"connection", b"close")]
    with suppress(TimeoutError):
        async with asyncio.timeout(linger_s):
            while state.connections:  # noqa: ASYNC110 - uvicorn tells nobody when one ends
                await asyncio.sleep(_LOOK_EVERY_S)


def bind(host: str, port: int, setting: str) -> socket.socket:
    """Return a listening socket: before anything slow starts, a taken port should be known.

    Args:
        host: Address to listen on.
        port: 0 takes any free one.
        setting: The port's name in the settings, for messages.

    Raises:
        ConfigurationError: The port is taken or the host is not ours.
    """
    listener = _bound(host, port, setting)
    try:
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise taken(setting, host, port) from error
    listener.setblocking(False)
    return listener


def hold(host: str, port: int, setting: str) -> socket.socket:
    """Return a socket that holds a port for other processes of ours and takes no connection.

    Whoever binds the port with SO_REUSEPORT as the same user shares it; to everyone else it is
    taken.

    Args:
        host: Address to listen on.
        port: 0 takes any free one.
        setting: The port's name in the settings, for messages.

    Raises:
        ConfigurationError: The port is taken or the host is not ours.
    """
    holder = _bound(host, port, setting)
    # Only now: bound with it, the socket would join whoever shares the port already.
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    # Past TIME_WAIT it is not needed, and two sockets that have it may share what none listens on.
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return holder


def authority(host: str, port: int) -> str:
    """Return HOST:PORT as it stands in a URL: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def taken(setting: str, host: str, port: int) -> ConfigurationError:
    """Return the error for a port that cannot be listened on."""
    return ConfigurationError(
        f"{setting}: {authority(host, port)} cannot be listened on: taken, or not an address of "
        f"this machine; choose another (--{setting.replace('_', '-')}, "
        f"UNDERSTUDY_{setting.upper()}), 0 takes any free one"
    )


def _bound(host: str, port: int, setting: str) -> socket.socket:
    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        # Connections of an earlier process in TIME_WAIT must not hold the port.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((host, port))
    except OSError as error:
        one.close()
        raise taken(setting, host, port) from error
    return one
