"""Bodies of V2's REST inference: JSON, and binary data behind it."""

import base64
import json
import random
import struct
from typing import Any

import atheris
import orjson
from fuzz import asgi
from fuzz.inputs import v2_posted
from fuzz.mutations import mutate_json
from fuzz.v2_served import asks_for_a_bug, served

from serving.api.v2_json import HEADER_LENGTH

MAX_BYTES = 4096
_STATUSES = {200, 400, 403, 413, 429}
_served, _app = served.served, served.app


def seeds() -> list[bytes]:
    """Requests in JSON and in binary data, with every parameter."""
    image = b"abcde"
    encoded = base64.b64encode(image).decode()
    raw = struct.pack("<I", len(image)) + image
    plain = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [encoded]}
    binary = {
        "name": "image",
        "datatype": "BYTES",
        "shape": [2, 1],
        "parameters": {"binary_data_size": 2 * len(raw)},
    }
    parameters = {
        "camera_id": "gate-7",
        "frame_id": "1",
        "arm": "student",
        "min_score": 0.5,
        "max_detections": 3,
        "timeout": 1_000_000,
        "binary_data_output": True,
    }
    outputs = [
        {"name": name, "parameters": {"binary_data": name == "boxes"}}
        for name in ("boxes", "scores", "class_ids", "labels", "counts")
    ]
    said = [
        {"id": "a", "inputs": [plain]},
        {"inputs": [plain], "parameters": parameters, "outputs": outputs},
        {"inputs": [{**plain, "shape": [2, 1], "data": [[encoded], [encoded]]}]},
        {"inputs": [plain, plain]},
        {"inputs": [{**plain, "data": [[[encoded]]]}]},
        *({"inputs": [plain], "parameters": {name: value}} for name, value in parameters.items()),
    ]
    with_data = json.dumps({"inputs": [binary], "outputs": outputs}).encode()
    return [
        *(_packed(None, json.dumps(one).encode()) for one in said),
        _packed(len(with_data), with_data + raw + raw),
        _packed(len(with_data) + 1, with_data + raw + raw),
        _packed(0, b""),
        _packed(None, b"[" * 2000),
        _packed(None, b'{"inputs": [{"shape": [1e999, -0, 18446744073709551616]}]}'),
    ]


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change a value of the JSON and tell its new length; or change plain bytes."""
    chance = random.Random(seed)
    length, body = v2_posted(data)
    said = int(length) if length.isdigit() else len(body)
    try:
        value = orjson.loads(body[:said])
    except ValueError:
        return bytes(atheris.Mutate(data, max_size))
    if chance.random() < 0.2:
        return bytes(atheris.Mutate(data, max_size))
    try:
        header = json.dumps(mutate_json(value, chance)).encode()
    except RecursionError:
        return data
    changed = _packed(len(header) if length else None, header + body[said:])
    return changed if len(changed) <= max_size else data


def one(data: bytes) -> None:
    """Answer in the protocol's shape, and hold nothing afterwards."""
    if asks_for_a_bug(data):
        return
    length, body = v2_posted(data)
    headers: dict[str, bytes] = {"Authorization": _served.http.headers["Authorization"].encode()}
    if length:
        headers[HEADER_LENGTH] = length

    status, answer = asgi.post(_app, "/v2/models/solo/infer", body, headers)

    assert status in _STATUSES, (status, answer)
    if status != 200:
        said: Any = json.loads(answer)
        assert list(said) == ["error"]
        assert said["error"]
    _served.answering.calls.clear()
    assert _served.budget.held_bytes == 0


def _packed(length: int | None, body: bytes) -> bytes:
    return (b"" if length is None else str(length).encode()) + b"\n" + body
