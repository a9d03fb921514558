"""What an operator is told at each start: what was switched off, and what speaks in clear."""

import ipaddress
from collections.abc import Iterator

import structlog

from serving.parts import Part
from serving.settings import Settings
from serving.tls.identity import Identity, refuse_open_key, secrets_dir

_log = structlog.get_logger(__name__)

_NO_AUTH = "everyone who reaches a port may detect, deploy and make keys"
_NO_TLS = (
    "keys and frames cross the network in clear: set UNDERSTUDY_TLS_CERT_FILE and "
    "UNDERSTUDY_TLS_KEY_FILE, or let nobody but a proxy that speaks TLS reach these ports"
)
_WORKER_OPEN = (
    "whoever reaches the port of frames may have frames answered: set "
    "UNDERSTUDY_TLS_CLIENT_CA_FILE, or let nobody but gateways reach it"
)
_WORKERS_IN_CLEAR = (
    "frames and the worker key cross the network in clear: set UNDERSTUDY_WORKERS_CA_FILE here and "
    "UNDERSTUDY_TLS_... at the workers, or keep both in a network of their own"
)


def check_tls(settings: Settings) -> None:
    """Check the certificate before anything starts.

    Once it serves, a process that is started again takes an old certificate: cameras that do not
    look at it are better served so, and the metrics say when it ended.

    Raises:
        ConfigurationError: A file is missing, over, or readable by everybody, or the key is of
            another certificate.
    """
    if settings.tls is None:
        return
    refuse_open_key(settings.tls.key, secrets_dir())
    Identity.read(settings.tls).refuse_over()


def warn(settings: Settings) -> None:
    """Log a warning for everything that stands open."""
    for event, meaning in exposures(settings):
        _log.warning(event, meaning=meaning, host=settings.host)


def exposures(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what stands open: a name, and what it means with what to do."""
    if not settings.auth and settings.part is not Part.WORKER:
        yield "no_auth", _NO_AUTH
    near = is_loopback(settings.host)
    if settings.tls is None and not near:
        yield "no_tls", _NO_TLS
    if settings.part is Part.WORKER:
        if not near and (settings.tls is None or settings.tls.client_ca is None):
            yield "no_client_certificates", _WORKER_OPEN
    elif settings.workers_tls is None and not all(map(is_loopback, settings.workers)):
        yield "workers_in_clear", _WORKERS_IN_CLEAR


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address or a host of this name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
