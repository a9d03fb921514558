"""The deployment: takes the ports, opens the store once, and keeps every process running."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from pathlib import Path

import structlog

from serving.access import exposure
from serving.access.admin_key import ensure_admin_key
from serving.api.listening import authority, http_server
from serving.parts import Part
from serving.ready_file import Addresses, ready_file
from serving.settings import Settings
from serving.store.store import open_store
from serving.supervisor.all_metrics import metrics_app
from serving.supervisor.crew import crew
from serving.supervisor.fleet import Fleet
from serving.supervisor.gateway_rows import GatewayRows
from serving.supervisor.ports import Ports, taken
from serving.supervisor.processes import ProcessesFile
from serving.supervisor.state_folder import instance, owned

log = structlog.get_logger(__name__)

_METRICS_STOP_S = 1.0


async def serve(settings: Settings, announce: Callable[[Addresses], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal hurries.

    Args:
        settings: What the operator wants.
        announce: Called once everything serves.

    Raises:
        ConfigurationError: A setting, a port or a missing program keeps it from starting.
    """
    with _cancelled_by_signals():
        with suppress(asyncio.CancelledError):
            async with _opened(settings) as addresses:
                announce(addresses)
                await asyncio.Event().wait()
        log.info("stopped")


def _opened(settings: Settings) -> AbstractAsyncContextManager[Addresses]:
    exposure.check_tls(settings)
    exposure.warn(settings)
    if settings.part is Part.WORKER:
        from serving.worker.program import open_worker  # noqa: PLC0415 - it alone has no store

        return open_worker(settings)
    return open_app(settings)


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[Addresses]:
    """Open the whole deployment: store, TorchServe, controller, gateways.

    Closing it stops reading new work, answers what is under way, and takes the rest down.

    Yields:
        Where everything listens.

    Raises:
        ConfigurationError: A setting, a port or a missing program keeps it from starting.
    """
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        ports = stack.enter_context(taken(settings))
        lock = stack.enter_context(owned(settings.state_dir))
        store = await enter(open_store(settings.store_url, migrate=settings.migrate))
        leads = settings.part.leads
        admin_key_file = await ensure_admin_key(store, settings.state_dir) if leads else None
        name = instance(settings.state_dir)
        rows = await enter(GatewayRows(store, name))
        told = ProcessesFile(settings.state_dir)
        fleet = crew(settings, ports, lock=lock, instance=name, rows=rows, changed=told.write)
        stack.enter_context(told.kept(fleet.processes))
        metrics = metrics_app(fleet.processes, fleet.metrics_urls, fleet.torchserve_metrics_urls)
        await enter(http_server(metrics, ports.metrics, stop_timeout_s=_METRICS_STOP_S))
        await enter(fleet)
        # First at the end: with the last gateway a port then closes, and nobody waits in its queue.
        stack.callback(ports.leave)
        addresses = _addresses(settings, ports, admin_key_file, fleet)
        stack.enter_context(ready_file(settings.ready_file, addresses))
        yield addresses


def _addresses(
    settings: Settings, ports: Ports, admin_key_file: Path | None, fleet: Fleet
) -> Addresses:
    web = "http://" if settings.tls is None else "https://"

    def place(one: socket.socket | None, scheme: str = web, path: str = "") -> str:
        if one is None:
            return ""
        return f"{scheme}{authority(settings.host, one.getsockname()[1])}{path}"

    torchserve = tuple(fleet.torchserve_metrics_urls().values())
    return Addresses(
        http_url=place(ports.http),
        grpc_address=place(ports.grpc, scheme="" if settings.tls is None else "grpcs://"),
        admin_url=place(ports.admin),
        metrics_url=place(ports.metrics, scheme="http://", path="/metrics"),
        torchserve_metrics_url=next(iter(torchserve), ""),
        torchserve_metrics_urls=torchserve,
        admin_key_file=admin_key_file,
        pid=os.getpid(),
        processes={name: one.pid for name, one in fleet.processes().items() if one.pid},
    )


@contextmanager
def _cancelled_by_signals() -> Iterator[None]:
    loop, work = asyncio.get_running_loop(), asyncio.current_task()
    if work is None:
        raise RuntimeError("serve runs in a task")
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, work.cancel)
    try:
        yield
    finally:
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(one)
