"""What cameras post to /v1/detect: a query, a media type, a body."""

import json
from types import SimpleNamespace
from typing import cast

from encoded_images import in_every_format
from fuzz import asgi
from fuzz.inputs import posted
from stream_server import Keys

from proto.wire.v1 import detection_pb2 as wire
from serving.access.authenticator import Authenticator
from serving.api.http import create_http
from serving.api.image_budget import ImageBudget
from serving.api.uploads import HEADERS, IMAGE_TYPES
from serving.dataplane.calls import Call
from serving.dataplane.frames import FrameLimits, check
from serving.dataplane.gateway import Gateway
from serving.metrics.gateway.metrics import Metrics

MAX_BYTES = 4096
_LIMITS = FrameLimits(2048)
_STATUSES = {200, 400, 413, 415}
_BOUNDARY = b"frame"
_FORM = b"multipart/form-data; boundary=" + _BOUNDARY


async def _detect(request: wire.DetectRequest, call: Call) -> wire.DetectResponse:
    frame = check(request, _LIMITS)
    return wire.DetectResponse(camera_id=frame.camera_id, request_id=call.request_id)


_budget = ImageBudget(1 << 20)
_app = create_http(
    cast(Gateway, SimpleNamespace(detect=_detect, limits=_LIMITS)),
    Authenticator(Keys(), enabled=False),
    Metrics(),
    lambda: None,
    budget=_budget,
)


def seeds() -> list[bytes]:
    """Raw pictures and forms, with every field once and in several charsets."""
    image = in_every_format()["jpeg"]
    values = {
        "camera_id": b"gate-7",
        "frame_id": b"1",
        "capture_time": b"2026-01-31T12:00:00.250Z",
        "min_score": b"0.5",
        "max_detections": b"7",
        "route": b"solo",
        "arm": b"student",
    }
    fields = b"&".join(name.encode() + b"=" + value for name, value in values.items())
    whole = _form(image=image, **values)
    charset = _form(_charset_=b"utf-16", camera_id=b"\xff\xfe", image=image)
    no_name = whole.replace(b'; filename="a.jpg"', b"")
    return [
        *(_packed(fields, kind.encode(), image) for kind in (*IMAGE_TYPES, "", "text/plain")),
        _packed(b"", _FORM, whole),
        _packed(b"", _FORM + b"; charset=utf-16", whole),
        _packed(b"", _FORM, charset),
        _packed(b"", _FORM, no_name),
        _packed(b"", _FORM, whole[:-20]),
        _packed(b"", b'multipart/form-data; boundary="' + b"x" * 80 + b'"', whole),
        _packed(b"", b"multipart/form-data", whole),
        _packed(b"min_score=nan&max_detections=1e3", IMAGE_TYPES[0].encode(), image),
        _packed(b"capture_time=9999999999999-01-01T00:00:00Z", b"image/jpeg", image),
        *(_packed(b"", _FORM, _form(**{name: values[name]})) for name in HEADERS),
    ]


def one(data: bytes) -> None:
    """Answer in our shape, and hold nothing afterwards."""
    query, media_type, body = posted(data)
    headers = {"content-type": media_type} if media_type else {}

    status, answer = asgi.post(_app, "/v1/detect", body, headers, query)

    assert status in _STATUSES, (status, answer)
    said = json.loads(answer)
    assert ("error" in said) == (status != 200)
    assert _budget.held_bytes == 0


def _packed(query: bytes, media_type: bytes, body: bytes) -> bytes:
    return b"\n".join((query, media_type, body))


def _form(**parts: bytes) -> bytes:
    form = b""
    for name, value in parts.items():
        file = b'; filename="a.jpg"' if name == "image" else b""
        form += b"--" + _BOUNDARY + b'\r\nContent-Disposition: form-data; name="' + name.encode()
        form += b'"' + file + b"\r\n\r\n" + value + b"\r\n"
    return form + b"--" + _BOUNDARY + b"--\r\n"
