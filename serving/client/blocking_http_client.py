"""A blocking client over HTTP; the same messages, errors and retries as over gRPC."""

from collections.abc import Iterable
from functools import partial
from types import TracebackType
from typing import Self

import httpx

from proto.wire.v1 import detection_pb2 as wire
from serving.client.asking import ask, replaced_where_lost
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


class BlockingHttpDetectClient:
    """A client over kept-alive connections; a context manager. For many threads.

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
        self._headers = key_headers(key)
        urls = split(url)
        self._tls = context_for(urls, tls)
        self._retries = retries or RetryBudget()
        self._lines: Lines[httpx.Client] = Lines(urls, self._open, httpx.Client.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._lines.close()

    def detect(
        self, request: wire.DetectRequest, *, timeout_s: float = 10.0
    ) -> wire.DetectResponse:
        """Have one frame answered; asked again, where that may help, until `timeout_s` is over.

        Raises:
            UnderstudyError: What the server told, or `BackendUnavailable` when nobody answers.
        """
        return ask(self._lines, self._retries, timeout_s, partial(self._once, request))

    def _once(
        self, request: wire.DetectRequest, line: Line[httpx.Client], timeout_s: float
    ) -> wire.DetectResponse:
        with replaced_where_lost(self._lines, line):
            return self._post(request, line, timeout_s)

    def _post(
        self, request: wire.DetectRequest, line: Line[httpx.Client], timeout_s: float
    ) -> wire.DetectResponse:
        try:
            reply = line.connection.post(
                PATH,
                params=query(request),
                content=request.image,
                headers=headers(timeout_s),
                timeout=httpx.Timeout(timeout_s + PATIENCE_S, connect=2.0),
            )
        except httpx.ConnectTimeout as error:
            raise BackendUnavailable(f"{line.address}: {error}") from error
        except httpx.TimeoutException as error:
            self._lines.failed(line, shun=True)
            raise DeadlineExceeded(f"{line.address}: no answer within {timeout_s:g} s") from error
        except httpx.TransportError as error:
            raise BackendUnavailable(f"{line.address}: {error}") from error
        if reply.status_code != 200:
            raise error_of(str(reply.url), reply.status_code, reply.headers, reply.content)
        return response_of(str(reply.url), reply.content)

    def _open(self, url: str) -> httpx.Client:
        limits = httpx.Limits(max_connections=None)
        return httpx.Client(base_url=url, headers=self._headers, limits=limits, verify=self._tls)
