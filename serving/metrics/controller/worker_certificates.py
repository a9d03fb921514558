"""When the certificates of workers on other machines end, as the controller is shown them."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime

import structlog

from serving.errors import BackendUnavailable
from serving.tls.certificate_series import CertificateSeries
from serving.torchserve.backend import Backend

_log = structlog.get_logger(__name__)

_LOOK_S = 60.0


@asynccontextmanager
async def worker_certificates_shown(
    backends: Iterable[Backend], series: CertificateSeries, *, look_s: float = _LOOK_S
) -> AsyncIterator[None]:
    """Ask every worker's door for its certificate, again and again while the block runs.

    Args:
        backends: Of the deployment, as of now.
        series: Shows when the first of them ends. One that has ended shows nobody anything: what
            was seen before stays.
        look_s: Seconds between two looks.
    """
    following = asyncio.create_task(_follow(backends, series, look_s))
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _follow(backends: Iterable[Backend], series: CertificateSeries, look_s: float) -> None:
    known: dict[str, datetime] = {}
    while True:
        there = {one.name: one.host for one in backends if one.host is not None}
        for name, host in there.items():
            try:
                known[name] = await host.certificate_ends()
            except BackendUnavailable as error:
                _log.info("worker_certificate_not_seen", worker=name, error=error.message)
        known = {name: end for name, end in known.items() if name in there}
        if known:
            series.show_end("worker", "server", min(known.values()))
        await asyncio.sleep(look_s)
