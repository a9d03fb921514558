"""The TLS of one process's listeners, with its series, for as long as the process serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from serving.tls.certificate_series import CertificateSeries
from serving.tls.files import TlsFiles
from serving.tls.identity import Identity
from serving.tls.server_tls import ServerTls


@asynccontextmanager
async def opened_tls(
    files: TlsFiles | None, series: CertificateSeries, *listeners: str
) -> AsyncIterator[ServerTls | None]:
    """Read the certificate, show its end, and follow its renewals until the block ends.

    Args:
        files: None: the listeners speak in clear.
        series: Of the process.
        listeners: What shows the certificate.

    Raises:
        ConfigurationError: The files cannot be used.
    """
    if files is None:
        yield None
        return

    def changed(identity: Identity) -> None:
        for listener in listeners:
            series.show(listener, identity)

    tls = ServerTls(files, changed=changed, failed=series.count_failed)
    async with tls.followed():
        yield tls
