"""A request and its failure, as HTTP carries them: what both clients over HTTP share."""

from collections.abc import Mapping
from typing import Any

import orjson
from google.protobuf import json_format

from proto.wire.v1 import detection_pb2 as wire
from serving.client.errors import rebuilt
from serving.error_info import ErrorInfo
from serving.errors import BackendUnavailable, UnderstudyError, UpstreamError

PATH = "/v1/detect"
# The server knows better what it was doing when the time was over.
PATIENCE_S = 1.0
_FIELDS = ("camera_id", "frame_id", "route", "arm")
# A proxy whose gateway is gone.
_GATEWAY_GONE = frozenset({502, 503, 504})


def key_headers(key: str | None) -> dict[str, str]:
    """Return the headers of every request."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def headers(timeout_s: float) -> dict[str, str]:
    """Return the headers of a request that is to be answered within `timeout_s`."""
    return {
        "Content-Type": "application/octet-stream",
        "X-Timeout-Ms": str(min(120_000, max(1, round(timeout_s * 1000)))),
    }


def query(request: wire.DetectRequest) -> dict[str, str]:
    """Return everything but the image as query parameters."""
    found = {name: getattr(request, name) for name in _FIELDS if getattr(request, name)}
    if request.HasField("min_score"):
        found["min_score"] = repr(request.min_score)
    if request.HasField("max_detections"):
        found["max_detections"] = str(request.max_detections)
    if request.HasField("capture_time"):
        found["capture_time"] = request.capture_time.ToJsonString()
    return found


def response_of(url: str, body: bytes) -> wire.DetectResponse:
    """Return the answer; fields that a newer server added are passed over.

    Raises:
        UpstreamError: It is none.
    """
    try:
        return json_format.Parse(body, wire.DetectResponse(), ignore_unknown_fields=True)
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise UpstreamError(f"{url}: what came is no answer of a gateway's") from error


def error_of(
    url: str, status: int, reply_headers: Mapping[str, str], body: bytes
) -> UnderstudyError:
    """Return what an answer other than 200 stands for."""
    try:
        said: dict[str, Any] = orjson.loads(body)["error"]
        info = ErrorInfo(said["code"], said["message"], said["field"])
    except (ValueError, KeyError, TypeError):
        # A proxy in between speaks another language.
        kind = BackendUnavailable if status in _GATEWAY_GONE else UpstreamError
        return kind(f"{url}: {status}")
    # A proxy in between may have made a date of it.
    seconds = reply_headers.get("Retry-After", "")
    return rebuilt(info, retry_after_s=float(seconds) if seconds.isdecimal() else 1.0)
