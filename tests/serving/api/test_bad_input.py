"""What a camera can get wrong, told the same over HTTP and gRPC."""

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

import cv2
import grpc
import httpx
import numpy as np
import pytest
from deployment import Deployment

from proto.wire.v1 import detection_pb2 as wire
from proto.wire.v1 import detection_pb2_grpc

pytestmark = pytest.mark.slow

LIMIT = 6 * 1024 * 1024
GOOD = b"GOOD"


@dataclass(frozen=True)
class Case:
    """A request, and what must be told of it.

    Attributes:
        name: Of the case.
        http: Status.
        grpc: Status.
        code: Of the error.
        field: At fault.
        says: Part of the message.
        image: GOOD: a good one.
        fields: Of the request.
        key: "detect", "admin", "none" or the text itself.
    """

    name: str
    http: int
    grpc: grpc.StatusCode
    code: str
    field: str
    says: str
    image: bytes = GOOD
    fields: dict[str, Any] = field(default_factory=dict)
    key: str = "detect"


def truncated() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    whole = bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
    return whole[: len(whole) // 2]


def bomb() -> bytes:
    """Return a PNG of a few bytes whose header promises 30000 x 30000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
SOLO = {"route": "solo"}
CASES = (
    Case("no key", 401, UNAUTHENTICATED, "unauthenticated", "", "no API key", key="none"),
    Case("wrong key", 401, UNAUTHENTICATED, "unauthenticated", "", "not one of ours", key="us_a_b"),
    Case("key of no form", 401, UNAUTHENTICATED, "unauthenticated", "", "us_ID_SECRET", key="abc"),
    Case("empty body", 400, INVALID, "bad_image", "image", "empty", image=b""),
    Case(
        "not an image",
        400,
        INVALID,
        "bad_image",
        "image",
        "JPEG",
        fields=SOLO,
        image=b"hello, gateway",
    ),
    Case(
        "truncated JPEG",
        400,
        INVALID,
        "bad_image",
        "image",
        "before its end marker",
        fields=SOLO,
        image=truncated(),
    ),
    Case("bomb", 413, INVALID, "image_too_large", "image", "30000", fields=SOLO, image=bomb()),
    Case(
        "over the size limit",
        *(413, INVALID, "image_too_large", "image", "6291456"),
        image=b"\xff" * (LIMIT + 1),
    ),
    Case(
        "unknown route",
        *(404, NOT_FOUND, "unknown_route", "route", "only default, solo"),
        fields={"route": "defualt"},
    ),
    Case(
        "unknown arm",
        *(404, NOT_FOUND, "unknown_arm", "arm", "only teacher, student"),
        fields={"arm": "pupil", "camera_id": "gate-7"},
        key="admin",
    ),
    Case(
        "forced arm without the scope",
        *(403, grpc.StatusCode.PERMISSION_DENIED, "permission_denied", "", "scope admin"),
        fields={"arm": "student", "camera_id": "gate-7"},
    ),
    Case("no camera id", 400, INVALID, "missing_camera_id", "camera_id", "over 2 arms"),
    Case(
        "long camera id",
        *(400, INVALID, "invalid_field", "camera_id", "129 characters, and at most 128"),
        fields={"camera_id": "c" * 129},
    ),
    Case(
        "camera id with a space",
        *(400, INVALID, "invalid_field", "camera_id", "'gate 7' holds more than visible ASCII"),
        fields={"camera_id": "gate 7"},
    ),
    Case(
        "frame id with a line break",
        *(400, INVALID, "invalid_field", "frame_id", "visible ASCII"),
        fields={"frame_id": "a\nb"},
    ),
    Case(
        "low min_score",
        *(400, INVALID, "invalid_field", "min_score", "0.0005 is not within 0.001 to 1"),
        fields={"min_score": 0.0005},
    ),
    Case(
        "min_score not a number",
        *(400, INVALID, "invalid_field", "min_score", "nan is not within"),
        fields={"min_score": float("nan")},
    ),
    Case(
        "high min_score",
        *(400, INVALID, "invalid_field", "min_score", "1.5 is not within"),
        fields={"min_score": 1.5},
    ),
    Case(
        "no detections",
        *(400, INVALID, "invalid_field", "max_detections", "0 is not within 1 to 1000"),
        fields={"max_detections": 0},
    ),
    Case(
        "too many detections",
        *(400, INVALID, "invalid_field", "max_detections", "1001 is not within 1 to 1000"),
        fields={"max_detections": 1001},
    ),
)


@pytest.fixture(scope="module")
def detect_key(served: Deployment) -> str:
    return served.key_of("detect", "bad-input")[1]


def key_text(case: Case, served: Deployment, detect_key: str) -> str | None:
    return {"detect": detect_key, "admin": served.key, "none": None}.get(case.key, case.key)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_over_http(case: Case, served: Deployment, image: bytes, detect_key: str) -> None:
    key = key_text(case, served, detect_key)

    reply = httpx.post(
        f"{served.addresses.http_url}/v1/detect",
        params=case.fields,
        content=image if case.image is GOOD else case.image,
        headers={"Content-Type": "image/jpeg"}
        | ({} if key is None else {"Authorization": f"Bearer {key}"}),
    )

    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["field"]) == (case.http, case.code, case.field)
    assert case.says in error["message"]
    assert error["requestId"] == reply.headers["X-Request-Id"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_over_grpc(case: Case, served: Deployment, image: bytes, detect_key: str) -> None:
    key = key_text(case, served, detect_key)
    metadata = () if key is None else (("authorization", f"Bearer {key}"),)
    request = wire.DetectRequest(image=image if case.image is GOOD else case.image, **case.fields)

    with grpc.insecure_channel(served.addresses.grpc_address) as channel:
        stub = detection_pb2_grpc.DetectionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.Detect(request, metadata=metadata, timeout=20)

    call = refused.value
    trailing = dict(call.trailing_metadata())
    error = wire.Error.FromString(trailing["understudy-error-bin"])
    assert (call.code(), error.code, error.field) == (case.grpc, case.code, case.field)
    assert case.says in error.message
    assert call.details() == error.message
    assert trailing["x-request-id"]
