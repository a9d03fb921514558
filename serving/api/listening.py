"""An HTTP application on a port, inside our own loop."""

import asyncio
import math
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from serving.errors import ConfigurationError

_BACKLOG = 2048


@asynccontextmanager
async def http_server(
    app: FastAPI, listener: socket.socket, *, stop_timeout_s: float
) -> AsyncIterator[None]:
    """Serve until the block ends; requests under way then get `stop_timeout_s` to finish.

    Args:
        app: What is served.
        listener: From `bind`.
        stop_timeout_s: In seconds.
    """
    # No signal handlers and no log set-up of its own: both are the program's.
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=math.ceil(stop_timeout_s),
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
        await server.shutdown(sockets=[listener])


def bind(host: str, port: int, setting: str) -> socket.socket:
    """Return a listening socket: before anything slow starts, a taken port should be known.

    Args:
        host: Address to listen on.
        port: 0 takes any free one.
        setting: The port's name in the settings, for messages.

    Raises:
        ConfigurationError: The port is taken or the host is not ours.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        # Connections of an earlier process in TIME_WAIT must not hold the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise taken(setting, host, port) from error
    return listener


def taken(setting: str, host: str, port: int) -> ConfigurationError:
    """Return the error for a port that cannot be listened on."""
    return ConfigurationError(
        f"{setting}: {host}:{port} cannot be listened on: taken, or not an address of this "
        f"machine; choose another (--{setting.replace('_', '-')}, "
        f"UNDERSTUDY_{setting.upper()}), 0 takes any free one"
    )
