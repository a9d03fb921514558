from collections.abc import AsyncIterator

import pytest
from deployment import Deployment

from proto.wire.v1 import detection_pb2 as wire
from serving.client import AsyncDetectClient, DetectClient, HttpDetectClient
from serving.client.errors import rebuilt
from serving.error_info import ErrorInfo
from serving.errors import (
    BackendUnavailable,
    BadImage,
    DeadlineExceeded,
    ImageTooLarge,
    InvalidField,
    Overloaded,
    Unauthenticated,
    UnderstudyError,
)

NOBODY = "127.0.0.1:1"


def frame(image: bytes, **fields: object) -> wire.DetectRequest:
    return wire.DetectRequest(image=image, **{"camera_id": "gate-7", **fields})  # type: ignore[arg-type] # as named


@pytest.mark.slow
def test_blocking_detect_and_stream(served: Deployment, image: bytes) -> None:
    with DetectClient(served.addresses.grpc_address, served.key) as client:
        one = client.detect(frame(image, frame_id="a"))
        frames = (frame(image, frame_id=str(n)) for n in range(12))
        many = list(client.stream(frames, every_frame=True))

    assert len(one.detections) == 2
    assert [answer.frame_id for answer in many] == [str(n) for n in range(12)]
    assert all(len(answer.detections) == 2 for answer in many)


@pytest.mark.slow
async def test_asyncio_detect_and_stream(served: Deployment, image: bytes) -> None:
    async def frames() -> AsyncIterator[wire.DetectRequest]:
        for n in range(12):
            yield frame(image, frame_id=str(n))

    async with AsyncDetectClient(served.addresses.grpc_address, served.key) as client:
        one = await client.detect(frame(image, frame_id="a"))
        many = [answer.frame_id async for answer in client.stream(frames(), frame_timeout_s=5)]

    assert len(one.detections) == 2
    assert many == [str(n) for n in range(12)]


@pytest.mark.slow
async def test_http_gives_the_same_answer_as_grpc(served: Deployment, image: bytes) -> None:
    request = frame(image, frame_id="f-1", min_score=0.85, max_detections=5)
    request.capture_time.GetCurrentTime()

    async with (
        HttpDetectClient(served.addresses.http_url, served.key) as http,
        AsyncDetectClient(served.addresses.grpc_address, served.key) as grpc,
    ):
        over_http, over_grpc = await http.detect(request), await grpc.detect(request)

    for answer in (over_http, over_grpc):
        answer.ClearField("timings")
        answer.ClearField("request_id")
    assert over_http == over_grpc
    assert len(over_http.detections) == 1


@pytest.mark.slow
def test_errors_come_back_as_they_were_raised(served: Deployment, image: bytes) -> None:
    with DetectClient(served.addresses.grpc_address, served.key) as client:
        with pytest.raises(InvalidField, match="max_detections: 0") as refused:
            client.detect(frame(image, max_detections=0))
        with pytest.raises(BadImage):
            client.detect(frame(b"junk"))
        with pytest.raises(ImageTooLarge, match="8388608 bytes"):
            client.detect(frame(bytes(8 * 1024 * 1024)))
        with pytest.raises(ImageTooLarge, match="larger than max"):
            client.detect(frame(bytes(14 * 1024 * 1024)))
        with pytest.raises(DeadlineExceeded):
            client.detect(frame(image), timeout_s=0.0005)
    with (
        DetectClient(served.addresses.grpc_address, "us_a_b") as stranger,
        pytest.raises(Unauthenticated),
    ):
        list(stranger.stream([frame(image)]))

    assert refused.value.field == "max_detections"


@pytest.mark.slow
async def test_errors_come_back_over_http_too(served: Deployment, image: bytes) -> None:
    async with HttpDetectClient(served.addresses.http_url, served.key) as client:
        with pytest.raises(InvalidField, match="max_detections: 0") as refused:
            await client.detect(frame(image, max_detections=0))
        with pytest.raises(BadImage):
            await client.detect(frame(b"junk"))
    async with HttpDetectClient(served.addresses.http_url, None) as stranger:
        with pytest.raises(Unauthenticated, match="no API key"):
            await stranger.detect(frame(image))

    assert refused.value.field == "max_detections"


async def test_nobody_at_the_address_is_told() -> None:
    with DetectClient(NOBODY, None) as client, pytest.raises(BackendUnavailable, match=NOBODY):
        client.detect(frame(b"x"), timeout_s=0.5)
    async with HttpDetectClient(f"http://{NOBODY}", None) as http:
        with pytest.raises(BackendUnavailable, match=NOBODY):
            await http.detect(frame(b"x"), timeout_s=0.5)


def test_each_error_is_rebuilt_with_what_it_carries() -> None:
    overloaded = rebuilt(ErrorInfo("overloaded", "full"), retry_after_s=2.5)
    unknown = rebuilt(ErrorInfo("of_a_later_release", "hm"))

    assert isinstance(overloaded, Overloaded)
    assert overloaded.retry_after_s == 2.5
    assert type(unknown) is UnderstudyError
    assert unknown.message == "hm"
