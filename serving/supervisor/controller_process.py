"""The controller as a process: the control plane, and operators' way in."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from pathlib import Path

from fastapi import FastAPI

from serving.access.admin_key import ADMIN_KEY_FILE
from serving.api.admin import PREFIX, admin_router
from serving.api.admin_openapi import add_description
from serving.api.admin_rollouts import rollouts_router
from serving.api.body_limit import BodyLimit
from serving.api.http_errors import answer_errors
from serving.api.listening import http_server
from serving.console.console import open_console
from serving.console.services import Services
from serving.console.watch import Watch
from serving.controlplane.archives import ArchiveStore
from serving.controlplane.controller import Controller
from serving.controlplane.keeper import Loaded
from serving.dataplane.routing import pick
from serving.metrics.controller.disk_series import Places
from serving.metrics.controller.state_metrics import StateMetrics
from serving.metrics.controller.worker_certificates import worker_certificates_shown
from serving.settings import Settings
from serving.supervisor.connections import Connections, connected
from serving.supervisor.own_metrics import metrics_server
from serving.supervisor.superior import Superior
from serving.supervisor.wiring import Wiring
from serving.tls.certificate_series import CertificateSeries
from serving.tls.opened import opened_tls
from serving.tls.server_tls import ServerTls

# All cameras that may be described at once, with the longest of words.
_BODY_LIMIT_BYTES = 16 * 1024 * 1024
# A third of a gateway's share where the processors are all busy.
_NICENESS = 5


@asynccontextmanager
async def controller_process(wiring: Wiring, superior: Superior) -> AsyncIterator[str]:
    """Lead, and answer operators.

    Args:
        wiring: From the supervisor.
        superior: Tells when a TorchServe was started anew.

    Yields:
        Where the process's own metrics are.

    Raises:
        UnderstudyError: It cannot serve.
    """
    async with (
        connected(wiring) as connections,
        nullcontext(_state_metrics(wiring, connections)) as state,
        metrics_server(state.text) as metrics_url,
        _certificates(wiring, connections, state) as tls,
        _controller(wiring, connections, state.workers.loaded) as controller,
        state.followed(controller),
        _admin(wiring, controller, connections) as app,
    ):
        superior.on_wake(controller.wake)
        listener = socket.socket(fileno=wiring.listener)
        async with http_server(
            app,
            listener,
            stop_timeout_s=wiring.settings.stop_timeout_s,
            websockets=wiring.settings.console,
            tls=None if tls is None else tls.context,
        ):
            # Operators need not wait for a backend that is filled: they may want a route back.
            await controller.taken_up()
            _yield_to_frames()
            yield metrics_url


@asynccontextmanager
async def _certificates(
    wiring: Wiring, connections: Connections, state: StateMetrics
) -> AsyncIterator[ServerTls | None]:
    """Show our own certificate and, where workers have some, theirs."""
    series = CertificateSeries(state.registry)
    async with AsyncExitStack() as stack:
        if wiring.settings.workers_tls is not None:
            await stack.enter_async_context(worker_certificates_shown(connections.backends, series))
        yield await stack.enter_async_context(opened_tls(wiring.settings.tls, series, "admin"))


def _yield_to_frames() -> None:
    """Let every thread go behind the gateways' and workers': what is left to do can wait.

    Linux counts niceness by the thread; where it cannot be asked for them nothing changes.
    """
    with suppress(FileNotFoundError):
        for thread in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, int(thread.name), _NICENESS)


def _state_metrics(wiring: Wiring, connections: Connections) -> StateMetrics:
    # All workers are elsewhere, or none is.
    here = not wiring.settings.workers
    return StateMetrics(connections.store, _places(wiring.settings), here=here)


def _places(settings: Settings) -> Places:
    folders = {"state": settings.state_dir, "model_store": settings.model_store}
    if settings.harvest_dir is not None:
        folders["harvest"] = settings.harvest_dir
    return Places(folders, settings.store_file)


def _controller(wiring: Wiring, connections: Connections, loaded: Loaded) -> Controller:
    settings = wiring.settings
    archives = ArchiveStore(
        settings.archives,
        model_store=settings.model_store,
        trusted_keys=settings.trusted_keys,
    )
    return Controller(
        connections.store,
        archives,
        connections.backends,
        holder=wiring.id,
        pick=pick,
        loaded=loaded,
    )


@asynccontextmanager
async def _admin(
    wiring: Wiring, controller: Controller, connections: Connections
) -> AsyncIterator[FastAPI]:
    app = FastAPI(title="Understudy admin", docs_url=None, redoc_url=None, openapi_url=None)
    answer_errors(app)
    # The console takes a frame as large as cameras' to compare releases on.
    limit_bytes = max(_BODY_LIMIT_BYTES, wiring.settings.request_bytes)
    app.add_middleware(BodyLimit, limit_bytes=limit_bytes)

    @app.get("/livez", summary="The process runs")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    operators = admin_router(
        controller,
        connections.store,
        connections.authenticator,
        admin_key_file=wiring.settings.state_dir / ADMIN_KEY_FILE,
    )
    app.include_router(operators)
    rollouts = rollouts_router(
        lambda: controller.rollouts, connections.store, connections.authenticator
    )
    app.include_router(rollouts, prefix=PREFIX)
    add_description(app)
    async with AsyncExitStack() as stack:
        if wiring.settings.console:
            services = Services(
                controller=controller,
                store=connections.store,
                authenticator=connections.authenticator,
                backends=connections.backends,
                model_store=wiring.settings.model_store,
                harvest_dir=wiring.settings.harvest_dir,
                image_limit_bytes=wiring.settings.image_limit_bytes,
                pick=pick,
                watch=Watch(connections.store),
            )
            app.mount("/console", await stack.enter_async_context(open_console(services)))
        yield app
