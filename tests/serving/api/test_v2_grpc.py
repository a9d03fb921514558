import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from v2_server import Served, serving_v2

from proto.open_inference.v2 import inference_pb2 as oip
from proto.wire.v1 import detection_pb2 as wire

pytestmark = pytest.mark.asyncio(loop_scope="module")
INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[Served]:
    async with serving_v2() as opened:
        yield opened


def asked(*images: bytes, model: str = "solo", **fields: Any) -> oip.ModelInferRequest:
    tensor = oip.ModelInferRequest.InferInputTensor(
        name="image",
        datatype="BYTES",
        shape=[len(images)],
        contents=oip.InferTensorContents(bytes_contents=images),
    )
    return oip.ModelInferRequest(model_name=model, inputs=[tensor], **fields)


def raw(*images: bytes, **fields: Any) -> oip.ModelInferRequest:
    request = asked(*images, **fields)
    request.inputs[0].ClearField("contents")
    packed = (struct.pack("<I", len(image)) + image for image in images)
    request.raw_input_contents.append(b"".join(packed))
    return request


def parameters(**values: Any) -> dict[str, oip.InferParameter]:
    kinds = {str: "string_param", bool: "bool_param", int: "int64_param", float: "double_param"}
    return {
        name: oip.InferParameter(**{kinds[type(value)]: value}) for name, value in values.items()
    }


async def refusal(served: Served, request: oip.ModelInferRequest) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as refused:
        await served.stub.ModelInfer(request, metadata=served.metadata, timeout=20)
    return refused.value.code(), refused.value.details()


async def test_typed_contents_are_answered_as_such(served: Served) -> None:
    request = asked(b"xx", id="job-1", parameters=parameters(max_detections=1, min_score=0.5))

    answer = await served.stub.ModelInfer(request, metadata=served.metadata)

    told = {one.name: one for one in answer.outputs}
    assert (answer.model_name, answer.model_version, answer.id) == ("solo", "student-1.0", "job-1")
    assert answer.parameters["arm"].string_param == "student"
    assert answer.parameters["backend"].string_param == "torchserve-0"
    assert list(told["boxes"].shape) == [1, 4]
    assert list(told["boxes"].contents.fp32_contents)[2:] == [10, 20.25]
    assert list(told["labels"].contents.bytes_contents) == [b"cell"]
    assert list(told["counts"].contents.int_contents) == [1]
    assert not answer.raw_output_contents


async def test_raw_contents_are_answered_as_such(served: Served) -> None:
    wanted = [
        oip.ModelInferRequest.InferRequestedOutputTensor(name=n) for n in ("counts", "labels")
    ]

    answer = await served.stub.ModelInfer(
        raw(b"x", b"xxx", outputs=wanted), metadata=served.metadata
    )

    assert [one.name for one in answer.outputs] == ["counts", "labels"]
    assert answer.raw_output_contents[0] == struct.pack("<2i", 1, 3)
    assert answer.raw_output_contents[1][:8] == struct.pack("<I", 4) + b"cell"
    assert not any(one.HasField("contents") for one in answer.outputs)


async def test_the_soonest_of_all_deadlines_holds(served: Served) -> None:
    served.answering.calls.clear()
    by_parameter = asked(b"x", parameters=parameters(timeout=5_000_000))
    metadata = (*served.metadata, ("x-timeout-ms", "60000"))

    await served.stub.ModelInfer(by_parameter, metadata=metadata, timeout=50)
    await served.stub.ModelInfer(asked(b"x"), metadata=metadata, timeout=5)

    for call in served.answering.calls:
        assert call.deadline is not None
        assert 0 < call.deadline.remaining_s() < 6  # gRPC rounds up


async def test_metadata_is_handed_on_for_routes_that_split_by_a_header(served: Served) -> None:
    metadata = (*served.metadata, ("x-site", "north"))
    await served.stub.ModelInfer(asked(b"x"), metadata=metadata)

    assert served.answering.calls[-1].headers["x-site"] == "north"


async def test_health_needs_no_key_and_everything_else_does(served: Served) -> None:
    stub = served.stub
    assert (await stub.ServerLive(oip.ServerLiveRequest())).live
    assert (await stub.ServerReady(oip.ServerReadyRequest())).ready
    assert (await stub.ModelReady(oip.ModelReadyRequest(name="solo"))).ready
    assert not (await stub.ModelReady(oip.ModelReadyRequest(name="nobody"))).ready
    closed = [
        stub.ServerMetadata(oip.ServerMetadataRequest()),
        stub.ModelMetadata(oip.ModelMetadataRequest(name="solo")),
        stub.RepositoryIndex(oip.RepositoryIndexRequest()),
        stub.RepositoryModelLoad(oip.RepositoryModelLoadRequest()),
        stub.ModelInfer(asked(b"x")),
    ]
    for call in closed:
        with pytest.raises(grpc.RpcError) as refused:
            await call
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_metadata_and_the_repository(served: Served) -> None:
    stub, metadata = served.stub, served.metadata

    server = await stub.ServerMetadata(oip.ServerMetadataRequest(), metadata=metadata)
    model = await stub.ModelMetadata(oip.ModelMetadataRequest(name="default"), metadata=metadata)
    index = await stub.RepositoryIndex(oip.RepositoryIndexRequest(ready=True), metadata=metadata)
    with pytest.raises(grpc.RpcError, match="understudy deploy"):
        await stub.RepositoryModelUnload(
            oip.RepositoryModelUnloadRequest(model_name="solo"), metadata=metadata
        )

    assert server.name == "understudy"
    assert list(model.versions) == ["teacher-1.0", "student-1.0"]
    assert [(one.name, one.datatype, list(one.shape)) for one in model.outputs] == [
        ("boxes", "FP32", [-1, 4]),
        ("scores", "FP32", [-1]),
        ("class_ids", "INT32", [-1]),
        ("labels", "BYTES", [-1]),
        ("counts", "INT32", [-1]),
    ]
    assert {one.name for one in index.models} == {"default", "solo"}


async def test_what_is_wrong_is_told(served: Served) -> None:
    both = raw(b"x")
    both.inputs[0].contents.bytes_contents.append(b"x")
    empty = asked(b"x")
    empty.parameters["camera_id"].Clear()
    told = [
        await refusal(served, oip.ModelInferRequest(model_name="solo")),
        await refusal(served, asked(b"x", model="nobody")),
        await refusal(served, asked(b"x", model="")),
        await refusal(served, asked(b"x", model="n" * 10_000)),
        await refusal(served, asked(b"x", model_version="student-2.0")),
        await refusal(served, asked(b"x", model="default", model_version="student-1.0")),
        await refusal(served, asked(b"x", b"bad")),
        await refusal(served, asked(b"full")),
        await refusal(served, asked(b"x", parameters=parameters(camera="a"))),
        await refusal(served, asked(b"x", parameters=parameters(min_score="0.5"))),
        await refusal(served, both),
        await refusal(served, empty),
    ]
    code = grpc.StatusCode
    assert [status for status, _ in told] == [
        INVALID,
        code.NOT_FOUND,
        INVALID,
        INVALID,
        code.NOT_FOUND,
        code.PERMISSION_DENIED,
        INVALID,
        code.RESOURCE_EXHAUSTED,
        *[INVALID] * 4,
    ]
    assert "image 1 of 0 to 1: image: not a JPEG" in told[6][1]
    assert "leave its `contents` out" in told[-2][1]


async def test_an_error_carries_our_own_details(served: Served) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        await served.stub.ModelInfer(
            asked(b"full"), metadata=(*served.metadata, ("x-request-id", "job-17"))
        )

    trailing = dict(refused.value.trailing_metadata())
    error = wire.Error.FromString(trailing["understudy-error-bin"])
    assert (error.code, trailing["x-request-id"]) == ("overloaded", "job-17")
    assert trailing["grpc-retry-pushback-ms"] == "1500"


async def test_a_caller_who_leaves_calls_off_the_images() -> None:
    async with serving_v2() as served:
        served.answering.together = 99
        call = served.stub.ModelInfer(asked(b"held", b"held"), metadata=served.metadata)
        async with asyncio.timeout(10):
            while len(served.answering.calls) < 2:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)

        call.cancel()
        async with asyncio.timeout(10):
            await served.service.idle()

        assert served.answering.cancelled == 2
        assert served.budget.held_bytes == 0
        counted = served.metrics.registry.get_sample_value(
            "understudy_answers_total", {"api": "v2_grpc", "code": "cancelled"}
        )
        assert counted == 1
