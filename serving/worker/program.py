"""`understudy serve worker`: one TorchServe, and the door through which a controller fills it."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing

import structlog
from prometheus_client import CollectorRegistry

from serving.api.listening import authority, bind, http_server
from serving.controlplane.archives import ArchiveStore
from serving.ready_file import Addresses, ready_file
from serving.settings import Settings
from serving.supervisor.state_folder import owned
from serving.tls.certificate_series import CertificateSeries
from serving.tls.opened import opened_tls
from serving.torchserve.config import Listen, TorchServeConfig
from serving.torchserve.process import TorchServe
from serving.worker.door import create_door
from serving.worker.frames_door import frames_door
from serving.worker.leaving import Leaving
from serving.worker.worker_key import WorkerKey

_log = structlog.get_logger(__name__)

_DOOR_STOP_S = 1.0


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[Addresses]:
    """Open a worker; closing it has the gateways send elsewhere first.

    Yields:
        Where it listens: the door as the administration's address, TorchServe as cameras'.

    Raises:
        ConfigurationError: A setting, a port or a missing program keeps it from starting.
    """
    key = WorkerKey.read(settings.worker_key_file)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        tls = await enter(
            opened_tls(settings.tls, CertificateSeries(CollectorRegistry()), "worker")
        )
        context = None if tls is None else tls.context
        listener = stack.enter_context(
            closing(bind(settings.host, settings.worker_port, "worker_port"))
        )
        stack.enter_context(owned(settings.state_dir))
        archives = ArchiveStore(
            settings.archives,
            model_store=settings.model_store,
            trusted_keys=settings.trusted_keys,
        )
        torchserve = await enter(TorchServe(_config(settings)))
        leaving = Leaving()
        door = create_door(torchserve, archives, key, leaving)
        if context is not None:
            frames = stack.enter_context(
                closing(bind(settings.host, settings.inference_port, "inference_port"))
            )
            await enter(frames_door(frames, context, torchserve.inference_port))
        await enter(http_server(door, listener, stop_timeout_s=_DOOR_STOP_S, tls=context))
        addresses = _addresses(settings, listener.getsockname()[1], torchserve)
        stack.enter_context(ready_file(settings.ready_file, addresses))
        try:
            yield addresses
        finally:
            _log.info("worker_leaving")
            await leaving.leave(settings.stop_timeout_s)


def _config(settings: Settings) -> TorchServeConfig:
    # With TLS, TorchServe's own port is nobody's but ours.
    frames = settings.inference_port if settings.tls is None else None
    return TorchServeConfig(
        archives=settings.archives,
        folder=settings.state_dir / "torchserve",
        max_image_bytes=settings.request_bytes,
        choices_folder=settings.state_dir / "choices",
        listen=Listen(settings.host, frames, settings.metrics_port),
    )


def _addresses(settings: Settings, port: int, torchserve: TorchServe) -> Addresses:
    web = "http" if settings.tls is None else "https"
    return Addresses(
        worker_url=f"{web}://{authority(settings.host, port)}",
        torchserve_metrics_url=torchserve.metrics_url,
        torchserve_metrics_urls=(torchserve.metrics_url,),
        pid=os.getpid(),
        processes={"torchserve": torchserve.pid} if torchserve.pid else {},
    )
