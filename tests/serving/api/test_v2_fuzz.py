"""Whatever is sent over V2, the answer is in the protocol's shape, no 500, and comes at once."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import grpc
import orjson
import pytest_asyncio
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from v2_server import Served, serving_v2

from proto.open_inference.v2 import inference_pb2 as oip

ANSWER_S = 10
FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# Everything but "broken", which the stand-in answers with a bug of its own.
IMAGES = st.binary(max_size=12).filter(lambda image: image not in {b"broken", b"held"})
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
PARAMETERS = st.dictionaries(
    st.sampled_from(
        [
            "camera_id",
            "frame_id",
            "arm",
            "min_score",
            "max_detections",
            "timeout",
            "binary_data_output",
            "priority",
        ]
    ),
    ANYTHING,
    max_size=3,
)


def mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return good | good | good | ANYTHING


@st.composite
def tensors(draw: st.DrawFn) -> dict[str, Any]:
    images = draw(st.lists(IMAGES, max_size=4))
    tensor = {
        "name": draw(mostly(st.just("image"))),
        "datatype": draw(mostly(st.just("BYTES"))),
        "shape": draw(mostly(st.just([len(images)]) | st.just([len(images), 1]))),
    }
    data = [base64.b64encode(image).decode() for image in images]
    if draw(st.booleans()):
        tensor["data"] = draw(mostly(st.just(data)))
    if draw(st.booleans()):
        tensor["parameters"] = draw(
            mostly(st.just({"binary_data_size": draw(st.integers(-1, 40))}))
        )
    return tensor


BODIES = st.fixed_dictionaries(
    {"inputs": mostly(st.lists(tensors(), min_size=1, max_size=2))},
    optional={
        "id": mostly(st.text(max_size=8)),
        "parameters": mostly(PARAMETERS),
        "outputs": mostly(
            st.lists(
                st.fixed_dictionaries(
                    {"name": mostly(st.sampled_from(["boxes", "counts", "masks"]))},
                    optional={
                        "parameters": mostly(
                            st.dictionaries(st.just("binary_data"), mostly(st.booleans()))
                        )
                    },
                ),
                max_size=3,
            )
        ),
    },
)


@pytest_asyncio.fixture
async def served() -> AsyncIterator[Served]:
    async with serving_v2() as opened:
        yield opened


async def answered(served: Served, content: bytes, headers: dict[str, str]) -> None:
    async with asyncio.timeout(ANSWER_S):
        reply = await served.http.post("/v2/models/solo/infer", content=content, headers=headers)

    assert reply.status_code in {200, 400, 403, 413, 429}, reply.text
    if reply.status_code != 200:
        assert list(reply.json()) == ["error"]
        assert reply.json()["error"]
    assert served.budget.held_bytes == 0


@FUZZ
@given(body=BODIES, tail=st.binary(max_size=24), shift=st.none() | st.integers(-3, 3))
async def test_rest_bodies(
    served: Served, body: dict[str, Any], tail: bytes, shift: int | None
) -> None:
    header = orjson.dumps(body)
    length = None if shift is None else str(len(header) + shift)
    headers = {} if length is None else {"Inference-Header-Content-Length": length}

    await answered(served, header + tail, headers)


@FUZZ
@given(
    body=st.binary(max_size=60),
    length=st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=14),
)
async def test_rest_bytes(served: Served, body: bytes, length: str | None) -> None:
    headers = {} if length is None else {"Inference-Header-Content-Length": length}

    await answered(served, body, headers)


@FUZZ
@given(path=st.text(min_size=1, max_size=30), body=st.binary(max_size=10))
async def test_rest_paths(served: Served, path: str, body: bytes) -> None:
    for method, place in (("GET", quote(path)), ("POST", f"models/{quote(path, safe='')}/infer")):
        async with asyncio.timeout(ANSWER_S):
            reply = await served.http.request(method, f"/v2/{place}", content=body)
        assert reply.status_code in {200, 307, 400, 404, 405}, reply.text


PARAMETER = st.one_of(
    st.builds(oip.InferParameter),
    st.builds(oip.InferParameter, bool_param=st.booleans()),
    st.builds(oip.InferParameter, int64_param=st.integers(-(2**63), 2**63 - 1)),
    st.builds(oip.InferParameter, uint64_param=st.integers(0, 2**64 - 1)),
    st.builds(oip.InferParameter, double_param=st.floats()),
    st.builds(oip.InferParameter, string_param=st.text(max_size=8)),
)
CONTENTS = st.builds(
    oip.InferTensorContents,
    bytes_contents=st.lists(IMAGES, max_size=4),
    fp32_contents=st.lists(st.floats(width=32), max_size=2),
)
INPUT = st.builds(
    oip.ModelInferRequest.InferInputTensor,
    name=st.just("image") | st.text(max_size=6),
    datatype=st.just("BYTES") | st.text(max_size=6),
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=2)
    | st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
    contents=st.none() | CONTENTS,
    parameters=st.just({}) | st.dictionaries(st.text(max_size=6), PARAMETER, max_size=1),
)
MESSAGES = st.builds(
    oip.ModelInferRequest,
    model_name=st.sampled_from(["solo", "default", "", "nobody"]) | st.text(max_size=200),
    model_version=st.just("") | st.just("student-1.0") | st.text(max_size=200),
    id=st.text(max_size=8),
    inputs=st.lists(INPUT, min_size=1, max_size=2),
    parameters=st.just({})
    | st.dictionaries(
        st.sampled_from(["camera_id", "arm", "min_score", "max_detections", "timeout", "x"]),
        PARAMETER,
        max_size=3,
    ),
    raw_input_contents=st.lists(st.binary(max_size=24), max_size=2),
    outputs=st.just([])
    | st.lists(
        st.builds(
            oip.ModelInferRequest.InferRequestedOutputTensor,
            name=st.sampled_from(["boxes", "labels", "masks"]),
        ),
        max_size=3,
    ),
)
ENDS = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


async def told(served: Served, message: oip.ModelInferRequest) -> None:
    call = served.stub.ModelInfer(message, metadata=served.metadata, timeout=ANSWER_S)
    code, details = await call.code(), await call.details()

    assert code in ENDS, details
    # Not the client's own words for a hang.
    assert details != "Deadline Exceeded"
    assert served.budget.held_bytes == 0


@FUZZ
@given(message=MESSAGES)
async def test_messages(served: Served, message: oip.ModelInferRequest) -> None:
    await told(served, message)


@FUZZ
@given(body=st.binary(max_size=80))
async def test_messages_of_any_bytes(served: Served, body: bytes) -> None:
    try:
        message = oip.ModelInferRequest.FromString(body)
    except DecodeError:
        return
    await told(served, message)
