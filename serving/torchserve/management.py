"""What an operator's wish becomes: models registered and unregistered in TorchServe."""

import asyncio
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import aiohttp

from serving.errors import BackendUnavailable, WorkerFailed
from serving.store.values import ReleaseKey
from serving.tls.peer_tls import IN_CLEAR, PeerTls
from serving.torchserve.registration import Deaths, Registration
from serving.torchserve.tokens import Credential, is_token_refused

_CALL_TIMEOUT_S = 30.0
# A machine that is gone does not even refuse.
_CONNECT_S = 5.0
_READY_POLL_S = 0.05


class DefaultVersion(WorkerFailed):
    """TorchServe keeps the default version of a model while there are others (403)."""


class ManagementClient:
    """TorchServe's management API; an async context manager.

    Args:
        url: Of the management listener.
        token: For it.
        load_timeout_s: How long loading a version may take.
        tls: Over https, whom to trust and who we are.
    """

    def __init__(
        self,
        url: str,
        token: Credential,
        *,
        load_timeout_s: float = 300.0,
        tls: PeerTls = IN_CLEAR,
    ) -> None:
        self._url = url
        self._tls = tls
        self._token = token
        self._load_timeout_s = load_timeout_s
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

    async def register(
        self,
        key: ReleaseKey,
        archive: str,
        *,
        workers: int,
        batch_size: int,
        batch_delay_ms: int = 0,
    ) -> None:
        """Load a version; returns when all its workers are ready. One that failed is left there.

        In the query, not in a JSON body: TorchServe reads an absent `max_batch_delay` of a body as
        -10000 and then forms no batches. Without workers at first: a synchronous registration
        blocks one of TorchServe's event loops until they are up, and with it every frame of every
        version whose connection that loop serves (measured: 4.3 s instead of 0.08 s).

        Args:
            key: Name and version; the version must be the archive's own.
            archive: File name in TorchServe's store.
            workers: How many processes.
            batch_size: Largest batch.
            batch_delay_ms: How long a worker waits for a batch to fill. A busy worker lets the
                queue fill while it works, so that waiting mostly slows a lone frame.

        Raises:
            WorkerFailed: It refused, or a worker did not come up.
            BackendUnavailable: TorchServe cannot be reached.
        """
        query: dict[str, str | int] = {
            "model_name": key.model,
            "url": archive,
            "initial_workers": 0,
            "batch_size": batch_size,
            "max_batch_delay": batch_delay_ms,
        }
        await self._call("POST", "/models", query, timeout_s=self._load_timeout_s)
        await self.scale(key, workers)

    async def scale(self, key: ReleaseKey, workers: int, *, wait: bool = True) -> None:
        """Give a version so many ready workers.

        TorchServe counts workers that it has given up bringing back, and lists them for ever: they
        come on top.

        Args:
            key: Name and version.
            workers: How many are to take requests.
            wait: Return when they do; else at once.

        Raises:
            WorkerFailed: It refused, or a worker did not come up.
            BackendUnavailable: TorchServe cannot be reached.
        """
        found = await self._described(key)
        listed = workers + len(found.workers) - found.ready_workers
        query: dict[str, str | int] = {"min_worker": listed, "max_worker": listed}
        query["synchronous"] = "false"  # as in `register`
        await self._call("PUT", _path(key), query)
        if wait:
            await self._have_come_up(key, workers)

    async def _have_come_up(self, key: ReleaseKey, workers: int) -> None:
        """Wait for the workers; TorchServe has no event for it.

        Raises:
            WorkerFailed: They keep ending while they load, or take too long.
        """
        deaths = Deaths()
        try:
            async with asyncio.timeout(self._load_timeout_s):
                while (found := await self._described(key)).ready_workers < workers:
                    if deaths.seen(found.workers) > workers:
                        raise WorkerFailed(
                            f"{key}: its workers end while they load the archive; TorchServe's log "
                            "(torchserve.log in the backend's folder) says why"
                        )
                    await asyncio.sleep(_READY_POLL_S)
        except TimeoutError as error:
            raise WorkerFailed(
                f"{key}: its {workers} workers were not ready within {self._load_timeout_s:g} s"
            ) from error

    async def _described(self, key: ReleaseKey) -> Registration:
        found = await self.describe(key)
        if found is None:
            raise WorkerFailed(f"{key}: TorchServe does not run it, or no longer")
        return found

    async def unregister(self, key: ReleaseKey) -> None:
        """Remove a version at once: what it still holds is lost, so drain it before.

        Raises:
            WorkerFailed: It refused.
            BackendUnavailable: TorchServe cannot be reached.
        """
        try:
            await self._call("DELETE", _path(key), absent_is_fine=True)
        except DefaultVersion:
            # Nobody is ever sent to a default, so any other version may be it.
            others = [one.key for one in await self._versions(key.model) if one.key != key]
            for other in others[:1]:  # none: it went meanwhile, and nothing keeps this one now
                await self._call("PUT", f"{_path(other)}/set-default", absent_is_fine=True)
            await self._call("DELETE", _path(key), absent_is_fine=True)

    async def describe(self, key: ReleaseKey) -> Registration | None:
        """Return what TorchServe says of a version, or None where it does not know it.

        Raises:
            WorkerFailed: It refused.
            BackendUnavailable: TorchServe cannot be reached.
        """
        found = await self._call("GET", _path(key), absent_is_fine=True)
        return None if found is None else Registration.read(found[0])

    async def list(self) -> tuple[Registration, ...]:
        """Return every version that TorchServe runs.

        Raises:
            WorkerFailed: It refused.
            BackendUnavailable: TorchServe cannot be reached.
        """
        names: list[str] = []
        page: str | None = "0"
        while page is not None:
            reply = await self._call("GET", "/models", {"limit": 100, "next_page_token": page})
            names += [model["modelName"] for model in reply["models"]]
            page = reply.get("nextPageToken")
        found: list[Registration] = []
        for name in names:
            found += await self._versions(name)
        return tuple(found)

    async def _versions(self, name: str) -> tuple[Registration, ...]:
        versions = await self._call("GET", f"/models/{name}/all", absent_is_fine=True)
        return tuple(Registration.read(version) for version in versions or ())

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str | int] | None = None,
        *,
        timeout_s: float = _CALL_TIMEOUT_S,
        absent_is_fine: bool = False,
    ) -> Any:
        for last in (False, True):
            status, body = await self._send(method, path, query or {}, timeout_s)
            if not is_token_refused(status, body) or last:
                break
            self._token.forget()
        if status == HTTPStatus.NOT_FOUND and absent_is_fine:
            return None
        if status >= HTTPStatus.BAD_REQUEST:
            said = body.get("message", "") if isinstance(body, dict) else str(body)
            kind = DefaultVersion if status == HTTPStatus.FORBIDDEN else WorkerFailed
            raise kind(f"TorchServe refused {method} {path}: {said}")
        return body

    async def _send(
        self, method: str, path: str, query: dict[str, str | int], timeout_s: float
    ) -> tuple[int, Any]:
        if self._http is None:
            raise BackendUnavailable("the management client is closed")
        try:
            async with self._http.request(
                method,
                path,
                params=query,
                server_hostname=self._tls.name,
                headers=self._token.header(),
                timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=_CONNECT_S),
            ) as reply:
                return reply.status, await reply.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise BackendUnavailable(f"TorchServe did not answer {method} {path}") from error


def _path(key: ReleaseKey) -> str:
    return f"/models/{key.model}/{key.version}"
