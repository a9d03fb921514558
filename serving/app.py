"""The only place that wires: opens everything in order and closes it in reverse."""

import asyncio
import fcntl
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from fastapi import FastAPI
from grpc_health.v1 import health_pb2

from serving.api.admin import admin_router
from serving.api.grpc import DetectionService
from serving.api.grpc_listening import SERVICE, GrpcListener, Health, bind_grpc, grpc_server
from serving.api.http import create_http
from serving.api.http_errors import answer_errors
from serving.api.listening import bind, http_server
from serving.api.timeouts import LONGEST_TIMEOUT_S
from serving.controlplane.archives import ArchiveStore
from serving.controlplane.controller import Controller
from serving.dataplane.frames import FrameLimits
from serving.dataplane.plane import DataPlane
from serving.errors import ConfigurationError
from serving.keys import Authenticator, ensure_admin_key
from serving.metrics import Metrics
from serving.readiness import Readiness
from serving.ready_file import Addresses, ready_file
from serving.settings import Settings
from serving.store.store import Store, open_store
from serving.torchserve.config import TorchServeConfig
from serving.torchserve.inference import InferenceClient
from serving.torchserve.management import ManagementClient
from serving.torchserve.process import TorchServe

log = structlog.get_logger(__name__)

# Heartbeats come twice a second; ten missed ones are no hiccup. A frame that was sent before the
# silence may still be under way for the longest deadline.
_SILENT_AFTER_S = 5.0 + LONGEST_TIMEOUT_S
# Query, headers and framing beside the image in a request to TorchServe.
_REQUEST_ROOM_BYTES = 256 * 1024


@dataclass(frozen=True)
class _Backend:
    """TorchServe and who speaks to it."""

    server: TorchServe
    inference: InferenceClient
    management: ManagementClient


@dataclass(frozen=True)
class _Ports:
    """What we listen on."""

    http: socket.socket
    admin: socket.socket
    grpc: GrpcListener


async def serve(settings: Settings, announce: Callable[[Addresses], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal hurries.

    Args:
        settings: What the operator wants.
        announce: Called once everything listens.

    Raises:
        ConfigurationError: A setting, a port or a missing program keeps it from starting.
    """
    with _cancelled_by_signals():
        with suppress(asyncio.CancelledError):
            async with open_app(settings) as addresses:
                announce(addresses)
                await asyncio.Event().wait()
        log.info("stopped")


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[Addresses]:
    """Open the whole deployment: store, TorchServe, controller, gateway, listeners.

    Closing it stops reading new work, answers what is under way, and takes the rest down.

    Yields:
        Where everything listens.

    Raises:
        ConfigurationError: A setting, a port or a missing program keeps it from starting.
    """
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        ports = _bind(settings, stack)
        stack.enter_context(_owned(settings.state_dir))
        store = await enter(open_store(settings.store_url))
        admin_key_file = await ensure_admin_key(store, settings.state_dir)
        authenticator = _authenticator(store, settings)
        backend = await enter(_backend(settings))
        controller = await enter(_controller(settings, store, backend))
        metrics = Metrics()
        plane = DataPlane(
            store=store,
            backend=backend.inference,
            metrics=metrics,
            limits=FrameLimits(settings.image_limit_bytes),
            waiting_room=settings.waiting_room,
        )
        gateway = await enter(plane.running())
        stopping = asyncio.Event()
        readiness = Readiness(plane.routes, backend.server.up, controller.filled, stopping)
        patience_s = settings.stop_timeout_s
        admin = _admin(controller, store, authenticator)
        await enter(http_server(admin, ports.admin, stop_timeout_s=patience_s))
        service = DetectionService(gateway, authenticator, metrics, stopping)
        health = await enter(
            grpc_server(ports.grpc, service, stopping=stopping, stop_timeout_s=patience_s)
        )
        http = create_http(gateway, authenticator, metrics, readiness.missing)
        await enter(http_server(http, ports.http, stop_timeout_s=patience_s))
        await enter(_reported(readiness, health))
        # Last in, first out: readiness goes before anything else does.
        stack.callback(stopping.set)
        addresses = _addresses(settings, ports, admin_key_file, backend.server)
        stack.enter_context(ready_file(settings.ready_file, addresses))
        yield addresses


def _bind(settings: Settings, stack: AsyncExitStack) -> _Ports:
    """Take all three ports, or say which is taken before anything else has started."""
    host = settings.host
    http = stack.enter_context(closing(bind(host, settings.http_port, "http_port")))
    admin = stack.enter_context(closing(bind(host, settings.admin_port, "admin_port")))
    limit = settings.image_limit_bytes
    return _Ports(http, admin, bind_grpc(host, settings.grpc_port, image_limit_bytes=limit))


def _authenticator(store: Store, settings: Settings) -> Authenticator:
    if not settings.auth:
        log.warning(
            "no_auth", meaning="everyone who reaches a port may detect, deploy and make keys"
        )
    return Authenticator(store, enabled=settings.auth)


@asynccontextmanager
async def _backend(settings: Settings) -> AsyncIterator[_Backend]:
    config = TorchServeConfig(
        archives=settings.archives,
        folder=settings.state_dir / "torchserve",
        max_image_bytes=settings.image_limit_bytes + _REQUEST_ROOM_BYTES,
    )
    settings.archives.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(TorchServe(config))
        inference = InferenceClient(server.inference_url, server.inference_token)
        management = ManagementClient(server.management_url, server.management_token)
        await stack.enter_async_context(inference)
        await stack.enter_async_context(management)
        yield _Backend(server, inference, management)


@asynccontextmanager
async def _controller(
    settings: Settings, store: Store, backend: _Backend
) -> AsyncIterator[Controller]:
    archives = ArchiveStore(
        settings.archives,
        model_store=settings.model_store,
        trusted_keys=settings.trusted_keys,
    )
    controller = Controller(
        store,
        archives,
        backend.management,
        backend.inference,
        silent_after_s=_SILENT_AFTER_S,
    )
    async with controller:
        # It comes back empty.
        backend.server.on_restart(controller.wake)
        yield controller


def _admin(controller: Controller, store: Store, authenticator: Authenticator) -> FastAPI:
    app = FastAPI(title="Understudy admin", docs_url=None, redoc_url=None)
    answer_errors(app)
    app.include_router(admin_router(controller, store, authenticator))
    return app


@asynccontextmanager
async def _reported(readiness: Readiness, health: Health) -> AsyncIterator[None]:
    """Keep grpc.health.v1 at what readiness says; not serving from the block's end on."""
    status = health_pb2.HealthCheckResponse

    async def tell(ready: bool) -> None:
        for service in ("", SERVICE):
            await health.set(service, status.SERVING if ready else status.NOT_SERVING)

    reporting = asyncio.create_task(readiness.report(tell))
    try:
        yield
    finally:
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)
        # Before the first listener drains: its last requests may take long.
        await tell(ready=False)


def _addresses(
    settings: Settings, ports: _Ports, admin_key_file: Path, server: TorchServe
) -> Addresses:
    http_url = f"http://{settings.host}:{ports.http.getsockname()[1]}"
    return Addresses(
        http_url=http_url,
        grpc_address=f"{settings.host}:{ports.grpc.port}",
        admin_url=f"http://{settings.host}:{ports.admin.getsockname()[1]}",
        metrics_url=f"{http_url}/metrics",
        torchserve_metrics_url=server.metrics_url,
        admin_key_file=admin_key_file,
        pid=os.getpid(),
    )


@contextmanager
def _owned(state_dir: Path) -> Iterator[None]:
    """Hold the state folder: two controllers on one store would undo each other's work."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (state_dir / "serve.lock").open("a")
    except OSError as error:
        raise ConfigurationError(
            f"state_dir: {state_dir} cannot be written ({error.strerror}); choose another "
            "(--state-dir, UNDERSTUDY_STATE_DIR)"
        ) from error
    with lock:
        try:
            # Goes with the process, however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(
                f"state_dir: {state_dir} is in use by another `understudy serve`; stop it, or "
                "choose another folder (--state-dir, UNDERSTUDY_STATE_DIR)"
            ) from error
        yield


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
