"""A client over HTTP, for asyncio; the same messages, errors and retries as over gRPC."""

import asyncio
from collections.abc import Iterable
from functools import partial
from types import TracebackType
from typing import Self

import aiohttp

from proto.wire.v1 import detection_pb2 as wire
from serving.client.asking import ask_async, replaced_where_lost
from serving.client.http_calls import (
    PATH,
    PATIENCE_S,
    error_of,
    headers,
    key_headers,
    query,
    response_of,
)
from serving.client.lines import Line, Lines, split
from serving.client.retries import RetryBudget
from serving.errors import BackendUnavailable, DeadlineExceeded
from serving.tls.client_tls import ClientTls, context_for


class HttpDetectClient:
    """A client over kept-alive connections; an async context manager.

    Args:
        url: "http://HOST:PORT" or "https://HOST:PORT" of a gateway, or several: separated by commas
            or a list.
        key: API key of scope detect or more; None where the server asks for none.
        retries: Bounds how much is asked again; None: the client's own budget.
        tls: Over https, whom to trust and who the client is; None: whom this machine trusts.
    """

    def __init__(
        self,
        url: str | Iterable[str],
        key: str | None,
        *,
        retries: RetryBudget | None = None,
        tls: ClientTls | None = None,
    ) -> None:
        self._urls = split(url)
        self._headers = key_headers(key)
        self._tls = context_for(self._urls, tls)
        self._retries = retries or RetryBudget()
        self._opened: Lines[aiohttp.ClientSession] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._opened = Lines(self._urls, self._open, self._close)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lines.close()
        await asyncio.gather(*self._closing)

    async def detect(
        self, request: wire.DetectRequest, *, timeout_s: float = 10.0
    ) -> wire.DetectResponse:
        """Have one frame answered; asked again, where that may help, until `timeout_s` is over.

        Raises:
            UnderstudyError: What the server told, or `BackendUnavailable` when nobody answers.
        """
        return await ask_async(self._lines, self._retries, timeout_s, partial(self._once, request))

    @property
    def _lines(self) -> Lines[aiohttp.ClientSession]:
        if self._opened is None:
            raise BackendUnavailable("the client is not open: use it with `async with`")
        return self._opened

    async def _once(
        self, request: wire.DetectRequest, line: Line[aiohttp.ClientSession], timeout_s: float
    ) -> wire.DetectResponse:
        with replaced_where_lost(self._lines, line):
            return await self._post(request, line, timeout_s)

    async def _post(
        self, request: wire.DetectRequest, line: Line[aiohttp.ClientSession], timeout_s: float
    ) -> wire.DetectResponse:
        try:
            async with line.connection.post(
                PATH,
                params=query(request),
                data=request.image,
                headers=headers(timeout_s),
                timeout=aiohttp.ClientTimeout(total=timeout_s + PATIENCE_S, sock_connect=2.0),
            ) as reply:
                body = await reply.read()
        except aiohttp.ConnectionTimeoutError as error:
            raise BackendUnavailable(f"{line.address}: {error}") from error
        except TimeoutError as error:
            self._lines.failed(line, shun=True)
            raise DeadlineExceeded(f"{line.address}: no answer within {timeout_s:g} s") from error
        except aiohttp.ClientError as error:
            raise BackendUnavailable(f"{line.address}: {error}") from error
        if reply.status != 200:
            raise error_of(str(reply.url), reply.status, reply.headers, body)
        return response_of(str(reply.url), body)

    def _open(self, url: str) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls)
        return aiohttp.ClientSession(url, headers=self._headers, connector=connector)

    def _close(self, session: aiohttp.ClientSession) -> None:
        closing = asyncio.get_running_loop().create_task(session.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
