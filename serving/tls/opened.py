"""The TLS of one process's listeners, with its series, for as long as the process serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from serving.tls.certificate_series import CertificateSeries
from serving.tls.identity import TlsFiles
from serving.tls.server_tls import ServerTls


@asynccontextmanager
async def opened_tls(
    files: TlsFiles | None, registry: CollectorRegistry, *listeners: str
) -> AsyncIterator[ServerTls | None]:
    """Read the certificate, show its end, and follow its renewals until the block ends.

    Args:
        files: None: the listeners speak in clear.
        registry: Of the process.
        listeners: What shows the certificate, for the series.

    Raises:
        ConfigurationError: The files cannot be used.
    """
    if files is None:
        yield None
        return
    series = CertificateSeries(registry, listeners)
    tls = ServerTls(files, changed=series.show, failed=series.count_failed)
    async with tls.followed():
        yield tls
