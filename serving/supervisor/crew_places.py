"""Where a TorchServe on another machine is, as the settings say."""

from serving.api.listening import authority
from serving.settings import Settings
from serving.supervisor.wiring import BackendPlace


def far_place(settings: Settings, host: str) -> BackendPlace:
    """Return where the worker on a host is.

    Args:
        settings: Hold the ports, which are the same on all hosts.
        host: Its name or address, by which placements know it.
    """
    web = "http" if settings.workers_tls is None else "https"
    return BackendPlace(
        name=host,
        inference_url=f"{web}://{authority(host, settings.inference_port)}",
        management_url=f"{web}://{authority(host, settings.worker_port)}",
    )
