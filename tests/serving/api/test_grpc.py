import threading
from collections.abc import Iterator

import grpc
import pytest
from deployment import Deployment
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from proto.wire.v1 import detection_pb2 as wire
from proto.wire.v1 import detection_pb2_grpc

pytestmark = pytest.mark.slow


@pytest.fixture
def channel(served: Deployment) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(served.addresses.grpc_address) as opened:
        yield opened


@pytest.fixture
def stub(channel: grpc.Channel) -> detection_pb2_grpc.DetectionServiceStub:
    return detection_pb2_grpc.DetectionServiceStub(channel)


def bearer(served: Deployment) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {served.key}"),)


def test_detect_is_answered(
    served: Deployment, stub: detection_pb2_grpc.DetectionServiceStub, image: bytes
) -> None:
    request = wire.DetectRequest(image=image, camera_id="gate-7", frame_id="f-1", max_detections=1)

    response, call = stub.Detect.with_call(
        request, metadata=(*bearer(served), ("x-request-id", "job-17")), timeout=20
    )

    assert [one.label for one in response.detections] == ["cell"]
    assert (response.camera_id, response.frame_id) == ("gate-7", "f-1")
    assert response.request_id == "job-17"
    assert dict(call.trailing_metadata())["x-request-id"] == "job-17"


def test_http_and_grpc_send_a_camera_to_the_same_arm(
    served: Deployment, stub: detection_pb2_grpc.DetectionServiceStub, image: bytes
) -> None:
    for camera in ("camera-1", "camera-2", "camera-3"):
        over_http = served.detect(image, camera_id=camera).json()["answeredBy"]["arm"]
        request = wire.DetectRequest(image=image, camera_id=camera)
        over_grpc = stub.Detect(request, metadata=bearer(served)).answered_by.arm
        assert over_grpc == over_http


def test_a_stream_answers_in_order_and_a_bad_frame_does_not_end_it(
    served: Deployment, stub: detection_pb2_grpc.DetectionServiceStub, image: bytes
) -> None:
    bad = {3: b"junk", 7: b"", 8: image[: len(image) // 2]}
    frames = [
        wire.DetectRequest(image=bad.get(n, image), camera_id="gate-7", frame_id=str(n))
        for n in range(24)
    ]

    metadata = (*bearer(served), ("x-when-behind", "wait"))
    answers = list(stub.DetectStream(iter(frames), metadata=metadata, timeout=60))

    assert [answer.frame_id for answer in answers] == [str(n) for n in range(24)]
    failed = {n for n, answer in enumerate(answers) if answer.HasField("error")}
    assert failed == set(bad)
    assert {answers[n].error.code for n in bad} == {"bad_image"}
    assert all(len(answers[n].detections) == 2 for n in range(24) if n not in bad)
    assert len({answer.answered_by.arm for n, answer in enumerate(answers) if n not in bad}) == 1


def test_a_stream_answers_while_it_is_still_open(
    served: Deployment, stub: detection_pb2_grpc.DetectionServiceStub, image: bytes
) -> None:
    answered = threading.Event()

    def frames() -> Iterator[wire.DetectRequest]:
        yield wire.DetectRequest(image=image, camera_id="gate-7", frame_id="first")
        assert answered.wait(20)
        yield wire.DetectRequest(image=image, camera_id="gate-7", frame_id="second")

    stream = stub.DetectStream(frames(), metadata=bearer(served), timeout=60)

    assert next(stream).frame_id == "first"
    answered.set()
    assert next(stream).frame_id == "second"


def test_a_stream_without_a_key_ends_before_its_first_frame(
    stub: detection_pb2_grpc.DetectionServiceStub,
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        next(stub.DetectStream(iter([wire.DetectRequest()]), timeout=20))

    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_revoked_key_ends_an_open_stream(
    served: Deployment, stub: detection_pb2_grpc.DetectionServiceStub, image: bytes
) -> None:
    id_, text = served.key_of("detect", "to-be-revoked")
    frame = wire.DetectRequest(image=image, camera_id="gate-7")
    ended = threading.Event()

    def frames() -> Iterator[wire.DetectRequest]:
        while not ended.wait(0.05):
            yield frame

    stream = stub.DetectStream(frames(), metadata=(("authorization", f"Bearer {text}"),))
    next(stream)
    served.admin("DELETE", f"/keys/{id_}")
    with pytest.raises(grpc.RpcError) as refused:
        for _ in stream:
            pass
    ended.set()

    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "was revoked" in refused.value.details()


def test_a_message_far_over_the_limit_is_refused_by_the_transport(
    served: Deployment, stub: detection_pb2_grpc.DetectionServiceStub
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stub.Detect(wire.DetectRequest(image=bytes(14 * 1024 * 1024)), metadata=bearer(served))

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "14680" in refused.value.details()


def test_a_deadline_that_is_too_short_is_told(
    served: Deployment, stub: detection_pb2_grpc.DetectionServiceStub, image: bytes
) -> None:
    request = wire.DetectRequest(image=image, route="solo")

    with pytest.raises(grpc.RpcError) as refused:
        stub.Detect(request, metadata=(*bearer(served), ("x-timeout-ms", "1")))

    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "deadline" in refused.value.details()


@pytest.mark.parametrize("service", ["", "understudy.v1.DetectionService"])
def test_health_is_told_without_a_key(channel: grpc.Channel, service: str) -> None:
    told = health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(service=service), timeout=20
    )

    assert told.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_the_service(channel: grpc.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")

    told = next(stub.ServerReflectionInfo(iter([asked]), timeout=20))

    names = {one.name for one in told.list_services_response.service}
    assert "understudy.v1.DetectionService" in names
