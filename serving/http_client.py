"""A client over HTTP, for asyncio; the same messages and errors as over gRPC."""

from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson
from google.protobuf import json_format

from proto.wire.v1 import detection_pb2 as wire
from serving.client_errors import rebuilt
from serving.errors import (
    BackendUnavailable,
    DeadlineExceeded,
    ErrorInfo,
    UnderstudyError,
    UpstreamError,
)

_PATIENCE_S = 1.0
_FIELDS = ("camera_id", "frame_id", "route", "arm")


class HttpDetectClient:
    """A client over kept-alive connections; an async context manager.

    Args:
        url: "http://HOST:PORT".
        key: API key of scope detect or more; None where the server asks for none.
    """

    def __init__(self, url: str, key: str | None) -> None:
        self._url = url
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            self._url, headers=self._headers, connector=aiohttp.TCPConnector(limit=0)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def detect(
        self, request: wire.DetectRequest, *, timeout_s: float = 10.0
    ) -> wire.DetectResponse:
        """Have one frame answered.

        Raises:
            UnderstudyError: What the server told, or `BackendUnavailable` when nobody answers.
        """
        if self._http is None:
            raise BackendUnavailable("the client is not open: use it with `async with`")
        headers = {
            "Content-Type": "application/octet-stream",
            "X-Timeout-Ms": str(max(1, round(timeout_s * 1000))),
        }
        try:
            async with self._http.post(
                "/v1/detect",
                params=_query(request),
                data=request.image,
                headers=headers,
                # The server knows better what it was doing when the time was over.
                timeout=aiohttp.ClientTimeout(total=timeout_s + _PATIENCE_S),
            ) as reply:
                body = await reply.read()
        except TimeoutError as error:
            raise DeadlineExceeded(f"{self._url}: no answer within {timeout_s:g} s") from error
        except aiohttp.ClientError as error:
            raise BackendUnavailable(f"{self._url}: {error}") from error
        if reply.status != 200:
            raise _error_of(reply, body)
        return json_format.Parse(body, wire.DetectResponse())


def _query(request: wire.DetectRequest) -> dict[str, str]:
    query = {name: getattr(request, name) for name in _FIELDS if getattr(request, name)}
    if request.HasField("min_score"):
        query["min_score"] = repr(request.min_score)
    if request.HasField("max_detections"):
        query["max_detections"] = str(request.max_detections)
    if request.HasField("capture_time"):
        query["capture_time"] = request.capture_time.ToJsonString()
    return query


def _error_of(reply: aiohttp.ClientResponse, body: bytes) -> UnderstudyError:
    try:
        said: dict[str, Any] = orjson.loads(body)["error"]
        info = ErrorInfo(said["code"], said["message"], said["field"])
    except (ValueError, KeyError, TypeError):
        # A proxy in between speaks another language.
        return UpstreamError(f"{reply.url}: {reply.status} {reply.reason}")
    return rebuilt(info, retry_after_s=float(reply.headers.get("Retry-After", 1)))
