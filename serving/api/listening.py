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
    app: FastAPI, *, host: str, port: int, setting: str, stop_timeout_s: float
) -> AsyncIterator[int]:
    """Serve until the block ends; requests under way then get `stop_timeout_s` to finish.

    Args:
        app: What is served.
        host: Address to listen on.
        port: 0 takes any free one.
        setting: The port's name in the settings, for messages.
        stop_timeout_s: In seconds.

    Yields:
        The actual port.

    Raises:
        ConfigurationError: The port is taken or the host is not ours.
    """
    listener = _bind(host, port, setting)
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
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await ticking
        await server.shutdown(sockets=[listener])


def _bind(host: str, port: int, setting: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        # Connections of an earlier process in TIME_WAIT must not hold the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        option = setting.replace("_", "-")
        raise ConfigurationError(
            f"{setting}: {host}:{port} cannot be listened on ({error.strerror}); choose another "
            f"(--{option}, UNDERSTUDY_{setting.upper()}), 0 takes any free one"
        ) from error
    return listener
