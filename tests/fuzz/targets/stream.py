"""A camera's stream: messages one after another, on a connection that stays."""

import random
from contextlib import AsyncExitStack
from typing import Any

import atheris
import grpc
from encoded_images import in_every_format
from fuzz import asgi
from fuzz.inputs import messages
from fuzz.mutations import mutate_message
from stream_server import serving_streams

from proto.wire.v1 import detection_pb2 as wire

MAX_BYTES = 4096
_ENDS = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_open = AsyncExitStack()
_served = asgi.wait_for(_open.enter_async_context(serving_streams(auth=False)))
_served.answering.let()
_channel = grpc.aio.insecure_channel(_served.address)
_stream = _channel.stream_stream(
    "/understudy.v1.DetectionService/DetectStream",
    response_deserializer=wire.DetectResponse.FromString,
)


def seeds() -> list[bytes]:
    """Streams of one camera, of two, of none, with every field and with fields that are wrong."""
    image = in_every_format()["jpeg"]
    frame = {"image": image, "camera_id": "gate-7", "frame_id": "1"}
    options = {"min_score": 0.5, "max_detections": 7, "route": "solo", "arm": "student"}
    streams = [
        [frame],
        [frame, frame, frame],
        [frame | options, frame | options],
        [frame, frame | {"camera_id": "gate-8"}],
        [frame, frame | {"route": "other"}],
        [{"image": image}, {"image": b""}, {}],
        [frame | {"min_score": float("nan"), "max_detections": 2**32 - 1}],
        [frame | {"frame_id": "x" * 200}, frame | {"camera_id": "a b"}],
    ]
    return [
        b"".join(_delimited(wire.DetectRequest(**one).SerializeToString()) for one in stream)
        for stream in streams
    ]


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change a message, or send one twice, or leave one out; seldom change plain bytes."""
    chance = random.Random(seed)
    stream = list(messages(data))
    if not stream or chance.random() < 0.1:
        return bytes(atheris.Mutate(data, max_size))
    place = chance.randrange(len(stream))
    if chance.random() < 0.2:
        stream[place:] = stream[place:] * chance.randrange(3)
    else:
        message = wire.DetectRequest.FromString(stream[place])
        mutate_message(message, chance)
        stream[place] = message.SerializeToString()
    changed = b"".join(map(_delimited, stream))
    return changed if len(changed) <= max_size else data


def one(data: bytes) -> None:
    """Give every message one answer, in order, and hold nothing afterwards."""
    sent = list(messages(data))
    code, answers = asgi.wait_for(_told(sent))

    assert code in _ENDS, code
    assert len(answers) <= len(sent)
    if code is grpc.StatusCode.OK:
        assert len(answers) == len(sent)
    for message, answer in zip(sent, answers, strict=False):
        asked = wire.DetectRequest.FromString(message)
        assert answer.frame_id in {asked.frame_id, ""}
        assert answer.error.code != "internal", answer.error
    assert _served.budget.held_bytes == 0
    _served.answering.came.clear()
    _served.answering.calls.clear()


async def _told(sent: list[bytes]) -> tuple[Any, list[wire.DetectResponse]]:
    call = _stream(iter(sent))
    answers = []
    try:
        async for answer in call:
            answers.append(answer)  # noqa: PERF401 - those before a failure are kept
    except grpc.aio.AioRpcError:
        pass
    return await call.code(), answers


def _delimited(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message
