"""How an image is put to each server: body and headers, made once and sent many times."""

import json
import struct
from dataclasses import dataclass

CAMERA_HEADER = "X-Camera-Id"
"""What our routes split by; others do not read it."""
_BOUNDARY = "bench-serve-boundary"
_MULTIPART_FIELDS = {"litserve": "image", "bentoml": "images"}

PATHS = {
    "litserve": "/predict",
    "bentoml": "/detect",
    "ray": "/",
    "triton": "/v2/models/detector/infer",
}
"""Where a peer takes images."""


@dataclass(frozen=True)
class Wire:
    """A request as it is sent.

    Attributes:
        body: As a whole.
        headers: Of its own; the server's key comes from elsewhere.
    """

    body: bytes
    headers: dict[str, str]


def wire(server: str, image: bytes) -> Wire:
    """Return the request that asks a server about a JPEG, as its documentation sends it."""
    if server in _MULTIPART_FIELDS:
        return _multipart(_MULTIPART_FIELDS[server], image)
    if server == "triton":
        return _binary_tensor(image)
    return Wire(image, {"Content-Type": "image/jpeg"})


def _multipart(field: str, image: bytes) -> Wire:
    head = (
        f"--{_BOUNDARY}\r\n"
        f'Content-Disposition: form-data; name="{field}"; filename="frame.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = head.encode() + image + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return Wire(body, {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"})


def _binary_tensor(image: bytes) -> Wire:
    """Follow Triton's binary tensor extension: a BYTES element is its length and itself."""
    element = struct.pack("<I", len(image)) + image
    tensor = {
        "name": "IMAGE",
        "shape": [1, 1],
        "datatype": "BYTES",
        "parameters": {"binary_data_size": len(element)},
    }
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return Wire(
        head + element,
        {
            "Content-Type": "application/octet-stream",
            "Inference-Header-Content-Length": str(len(head)),
        },
    )
