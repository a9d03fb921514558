"""The machine of a worker that is not ours: asked over HTTP for what a folder does at home."""

import asyncio
import ssl
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from serving.errors import BackendUnavailable, UpstreamError, WorkerFailed
from serving.store.values import AUTO, Release
from serving.tls.peer_tls import IN_CLEAR, PeerTls
from serving.torchserve.tokens import Credential

# It copies an archive out of its model store and verifies it.
_PREPARE_TIMEOUT_S = 300.0
_CALL_TIMEOUT_S = 30.0
_MEMORY_TIMEOUT_S = 5.0
# A machine that is gone does not even refuse.
_CONNECT_S = 5.0


class WorkerHost:
    """What `serving.worker.door` answers; an async context manager.

    Args:
        url: Of the door.
        key: For it.
        tls: Over https, whom to trust and who we are.
    """

    def __init__(self, url: str, key: Credential, tls: PeerTls = IN_CLEAR) -> None:
        self._url = url
        self._tls = tls
        self._key = key
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(self._url, connector=self._tls.connector())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def prepare(self, release: Release) -> None:
        """Have it take and verify a release's archive, and tell its workers to come how to serve.

        Raises:
            WorkerFailed: It refused; the message says why.
            BackendUnavailable: It cannot be reached.
        """
        asked = {
            "sha256": release.sha256,
            "variant": None if release.variant == AUTO else release.variant,
            "threads": release.threads,
            "workers": release.workers,
        }
        key = release.key
        path = f"/v1/releases/{key.model}/{key.version}"
        await self._call("PUT", path, asked, timeout_s=_PREPARE_TIMEOUT_S)

    async def fault(self, card_sha256: str) -> str:
        """Return a worker's own words on why it did not load a card; "" where it left none.

        Raises:
            WorkerFailed: It refused.
            BackendUnavailable: It cannot be reached.
        """
        return str((await self._call("GET", f"/v1/faults/{card_sha256}"))["fault"])

    async def memory_for_workers_bytes(self) -> int | None:
        """Return how much more memory its workers may take; None where it cannot tell."""
        try:
            told = await self._call("GET", "/v1/memory", timeout_s=_MEMORY_TIMEOUT_S)
        except UpstreamError:
            return None
        return int(told["forWorkersBytes"])

    async def certificate_ends(self) -> datetime:
        """Return when the certificate ends that it shows now, UTC.

        Raises:
            BackendUnavailable: It cannot be reached, or its certificate is not good.
        """
        place = urlsplit(self._url)
        try:
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                _, writer = await asyncio.open_connection(
                    place.hostname,
                    place.port,
                    ssl=self._tls.context,
                    server_hostname=self._tls.name or place.hostname,
                )
        except OSError as error:  # a TimeoutError and an ssl.SSLError are each one
            raise BackendUnavailable(f"the worker at {self._url}: {error}") from error
        certificate = writer.get_extra_info("ssl_object").getpeercert()
        writer.transport.abort()
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)

    async def _call(
        self, method: str, path: str, body: Any = None, *, timeout_s: float = _CALL_TIMEOUT_S
    ) -> Any:
        if self._http is None:
            raise BackendUnavailable("the worker's client is closed")
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=_CONNECT_S)
        try:
            async with self._http.request(
                method,
                path,
                json=body,
                headers=self._key.header(),
                timeout=timeout,
                server_hostname=self._tls.name,
            ) as reply:
                status, said = reply.status, await reply.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise BackendUnavailable(f"the worker at {self._url} did not answer") from error
        if status != 200:
            raise _refused(status, said)
        return said


def _refused(status: int, said: Any) -> WorkerFailed | BackendUnavailable:
    error = said.get("error", {}) if isinstance(said, dict) else {}
    message = str(error.get("message", f"the worker's machine answered {status}"))
    stopping = status == 503  # or not up yet
    return BackendUnavailable(message) if stopping else WorkerFailed(message)
