"""Messages of V2's gRPC inference, as they come over the wire."""

import random
import struct
from typing import Any

import atheris
import grpc
from fuzz import asgi
from fuzz.mutations import mutate_message
from fuzz.v2_served import asks_for_a_bug, served
from google.protobuf.message import DecodeError

from proto.open_inference.v2 import inference_pb2 as oip

MAX_BYTES = 2048
_ENDS = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}
_served = served.served
_channel = grpc.aio.insecure_channel(_served.address)
_ask = _channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")


def seeds() -> list[bytes]:
    """Requests with contents and with raw bytes, and every kind of parameter."""
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1]}
    contents = oip.InferTensorContents(bytes_contents=[b"abcde"])
    kinds = {
        "camera_id": oip.InferParameter(string_param="gate-7"),
        "min_score": oip.InferParameter(double_param=0.5),
        "max_detections": oip.InferParameter(int64_param=3),
        "timeout": oip.InferParameter(uint64_param=1_000_000),
        "arm": oip.InferParameter(string_param="student"),
        "binary_data_output": oip.InferParameter(bool_param=True),
    }
    made = oip.ModelInferRequest
    messages = [
        made(model_name="solo", id="a", inputs=[_tensor(**tensor, contents=contents)]),
        made(
            model_name="default",
            inputs=[_tensor(**tensor)],
            raw_input_contents=[struct.pack("<I", 5) + b"abcde"],
            parameters=kinds,
        ),
        made(
            model_name="solo",
            model_version="student-1.0",
            inputs=[_tensor(**tensor, contents=contents)],
            outputs=[made.InferRequestedOutputTensor(name=name) for name in ("boxes", "counts")],
        ),
        *(
            made(
                model_name="solo",
                inputs=[_tensor(**tensor, contents=contents)],
                parameters={name: value},
            )
            for name, value in kinds.items()
        ),
    ]
    return [message.SerializeToString() for message in messages]


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change a field of the message, seldom its bytes."""
    chance = random.Random(seed)
    message = oip.ModelInferRequest()
    try:
        message.MergeFromString(data)
    except DecodeError:
        return bytes(atheris.Mutate(data, max_size))
    if chance.random() < 0.1:
        return bytes(atheris.Mutate(data, max_size))
    mutate_message(message, chance)
    changed: bytes = message.SerializeToString()
    return changed if len(changed) <= max_size else data


def one(data: bytes) -> None:
    """End as the protocol says; what is no message, gRPC itself refuses."""
    try:
        oip.ModelInferRequest.FromString(data)
    except DecodeError:
        return
    if asks_for_a_bug(data):
        return
    code, details = asgi.wait_for(_told(data))

    assert code in _ENDS, (code, details)
    assert details != "Deadline Exceeded"  # the client's own words for a hang
    _served.answering.calls.clear()
    assert _served.budget.held_bytes == 0


async def _told(data: bytes) -> tuple[Any, str]:
    call = _ask(data, metadata=_served.metadata, timeout=8)
    return await call.code(), await call.details()


def _tensor(**fields: Any) -> oip.ModelInferRequest.InferInputTensor:
    return oip.ModelInferRequest.InferInputTensor(**fields)
