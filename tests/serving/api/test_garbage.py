"""What a refused frame leaves in a gateway: nothing that waits for Python's collector."""

import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import cast

import grpc
import httpx
import pytest
import pytest_asyncio
from stream_server import IMAGE_LIMIT, Keys, serving_streams
from v2_server import serving_v2

from proto.open_inference.v2 import inference_pb2 as oip
from proto.wire.v1 import detection_pb2 as wire
from proto.wire.v1 import detection_pb2_grpc
from serving.access.authenticator import Authenticator
from serving.api.http import create_http
from serving.dataplane.calls import Call
from serving.dataplane.frames import FrameLimits
from serving.dataplane.gateway import Gateway
from serving.errors import BadImage
from serving.metrics.gateway.metrics import Metrics


class Image:
    """Stands for what a call holds while it is answered."""


class Refusing:
    """Refuses every frame, and knows whether what it held then is held still."""

    def __init__(self) -> None:
        self.limits = FrameLimits(IMAGE_LIMIT)
        self._held: list[weakref.ref[Image]] = []

    async def detect(self, request: wire.DetectRequest, call: Call) -> wire.DetectResponse:
        image = Image()
        self._held.append(weakref.ref(image))
        raise BadImage("image", "image: damaged")

    @property
    def left(self) -> list[bool]:
        return [image() is not None for image in self._held]


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def refusing() -> Refusing:
    return Refusing()


async def test_over_http(refusing: Refusing) -> None:
    gateway = cast(Gateway, SimpleNamespace(detect=refusing.detect, limits=refusing.limits))
    app = create_http(gateway, Authenticator(Keys(), enabled=False), Metrics(), lambda: None)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        for _ in range(2):
            assert (await client.post("/v1/detect", content=b"jpeg")).status_code == 400

    assert refusing.left == [False, False]


@pytest_asyncio.fixture
async def stub(refusing: Refusing) -> AsyncIterator[detection_pb2_grpc.DetectionServiceStub]:
    async with serving_streams(auth=False) as served:
        served.answering.detect = refusing.detect
        async with grpc.aio.insecure_channel(served.address) as channel:
            yield detection_pb2_grpc.DetectionServiceStub(channel)


async def test_over_grpc(refusing: Refusing, stub: detection_pb2_grpc.DetectionServiceStub) -> None:
    for _ in range(3):
        call = stub.Detect(wire.DetectRequest(image=b"jpeg"))
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT

    # The last call may not have quite ended.
    assert refusing.left[:2] == [False, False]


async def test_over_a_stream(
    refusing: Refusing, stub: detection_pb2_grpc.DetectionServiceStub
) -> None:
    call = stub.DetectStream()
    for number in range(3):
        await call.write(wire.DetectRequest(image=b"jpeg", frame_id=str(number)))
        answer = await call.read()
        assert answer.error.code == "bad_image"

    assert refusing.left[:2] == [False, False]
    call.cancel()


async def test_over_v2(refusing: Refusing) -> None:
    async with serving_v2() as served:
        served.answering.detect = refusing.detect
        tensor = {"name": "image", "datatype": "BYTES", "shape": [1]}
        body = {"inputs": [{**tensor, "data": ["anBlZw=="]}]}
        message = oip.ModelInferRequest(
            model_name="solo",
            inputs=[
                oip.ModelInferRequest.InferInputTensor(
                    **tensor, contents=oip.InferTensorContents(bytes_contents=[b"jpeg"])
                )
            ],
        )
        for _ in range(2):
            reply = await served.http.post("/v2/models/solo/infer", json=body)
            assert reply.status_code == 400, reply.text
            call = served.stub.ModelInfer(message, metadata=served.metadata)
            assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT

        assert refusing.left[:3] == [False] * 3
