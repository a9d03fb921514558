"""What a running deployment says of its frames: every process's log, and the traces it sends."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest
from deployment import Deployment, deployed
from otlp_receiver import Collector, attributes, otlp_receiver

from proto.wire.v1 import detection_pb2 as wire
from proto.wire.v1 import detection_pb2_grpc

pytestmark = pytest.mark.slow

TRACES = {way: f"{place:032x}" for place, way in enumerate(("http", "grpc", "stream"), start=1)}
SPAN = "b7ad6b7169203331"
PLANTED = "us_0123456789ab_planted-planted-planted-planted"


@dataclass(frozen=True)
class Told:
    """What was told of three frames that were answered and two that were not.

    Attributes:
        lines: Of the log.
        secrets: What must be in none of them.
        collector: Of the spans.
    """

    lines: list[dict[str, Any]]
    secrets: list[str]
    collector: Collector


def parent(way: str) -> str:
    return f"00-{TRACES[way]}-{SPAN}-01"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, archives: Any, image: bytes) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("told")
    environment = {
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "UNDERSTUDY_TRACING_SHARE": "1",
        "UNDERSTUDY_LOG_ANSWERS": "1",
        "UNDERSTUDY_LOG_LEVEL": "debug",
    }
    with otlp_receiver() as collector:
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with deployed(folder, archives, **endpoint, **environment) as running:
            running.deploy("student")
            running.set_route(student=100)
            _, key = running.key_of("detect")
            send(running, key, image)
            tokens = folder / "state" / "torchserve-1" / "key_file.json"
            secrets = [text.rpartition("_")[2] for text in (key, running.key, PLANTED)]
            secrets += [one["key"] for one in json.loads(tokens.read_text()).values()]
            collector.until(lambda: len(collector.spans("detect")) == 4)
        secrets += [base64.b64encode(image).decode()[:32], repr(image)[2:40]]
        lines = (folder / "log").read_text().splitlines()
        yield Told([json.loads(line) for line in lines], secrets, collector)


def send(running: Deployment, key: str, image: bytes) -> None:
    """Send a frame each way, and two that are refused."""
    bearer = {"Authorization": f"Bearer {key}"}
    answered = httpx.post(
        f"{running.addresses.http_url}/v1/detect",
        params={"camera_id": "gate-http"},
        content=image,
        headers=bearer
        | {"Content-Type": "image/jpeg", "X-Request-Id": "r-http", "traceparent": parent("http")},
        timeout=60,
    )
    assert answered.status_code == 200, answered.text
    with grpc.insecure_channel(running.addresses.grpc_address) as channel:
        stub = detection_pb2_grpc.DetectionServiceStub(channel)
        for way in ("grpc", "stream"):
            request = wire.DetectRequest(image=image, camera_id=f"gate-{way}")
            metadata = [("authorization", f"Bearer {key}"), ("traceparent", parent(way))]
            if way == "grpc":
                stub.Detect(request, metadata=metadata, timeout=60)
            else:
                list(stub.DetectStream(iter([request]), metadata=metadata, timeout=60))
    for refused, body in ((f"Bearer {PLANTED}", image), (bearer["Authorization"], b"no image")):
        reply = httpx.post(
            f"{running.addresses.http_url}/v1/detect",
            params={"camera_id": "gate-bad"},
            content=body,
            headers={"Authorization": refused, "Content-Type": "image/jpeg"},
            timeout=60,
        )
        assert reply.status_code in {400, 401}


def test_every_process_writes_the_same_kind_of_lines(told: Told) -> None:
    assert {line["process"] for line in told.lines} == {"supervisor", "controller", "gateway-1"}
    for line in told.lines:
        assert list(line)[:4] == ["timestamp", "level", "event", "process"]
    up = {line["child"] for line in told.lines if line["event"] == "process_up"}
    assert up == {"controller", "gateway-1"}


def test_each_frame_has_a_line_with_request_camera_arm_and_version(told: Told) -> None:
    answered = [line for line in told.lines if line["event"] == "frame_answered"]
    assert [line["camera"] for line in answered] == ["gate-http", "gate-grpc", "gate-stream"]
    assert answered[0]["request_id"] == "r-http"
    for line in answered:
        assert re.fullmatch(r"[\w.-]+", line["request_id"])
        assert (line["arm"], line["model"], line["version"]) == ("student", "student", "1.0")
        assert line["total_ms"] >= line["inference_ms"] > 0
    (refused,) = [line for line in told.lines if line["event"] == "frame_refused"]
    assert (refused["camera"], refused["code"]) == ("gate-bad", "bad_image")


def test_no_key_no_token_and_no_image_is_in_the_log(told: Told) -> None:
    text = json.dumps(told.lines)
    assert len(told.secrets) >= 7
    assert [secret for secret in told.secrets if secret in text] == []


def test_each_frame_is_a_trace_from_its_caller_to_the_workers_stages(told: Told) -> None:
    stages = ["decode", "preprocess", "inference", "postprocess"]
    ends = {attributes(one)["understudy.code"]: one for one in told.collector.spans("detect")}
    assert set(ends) == {"ok", "bad_image"}
    for detect in told.collector.spans("detect"):
        if detect is ends["bad_image"]:
            continue
        ours = told.collector.traces()[detect.trace_id]
        assert sorted(span.name for span in ours) == sorted(
            ["detect", "admission", "queue", "torchserve", *stages]
        )
        (call,) = [span for span in ours if span.name == "torchserve"]
        inside = [span for span in ours if span.name in stages]
        assert [span.name for span in inside] == stages
        assert {span.parent_span_id for span in inside} == {call.span_id}
        # The worker's own times fit into the call that brought them.
        assert inside[0].start_time_unix_nano >= call.start_time_unix_nano
        assert inside[-1].end_time_unix_nano <= call.end_time_unix_nano
        assert attributes(call)["understudy.backend"] == "torchserve-1"


def test_cameras_traces_are_joined_over_http_and_grpc_and_linked_by_a_stream(told: Told) -> None:
    found = {attributes(one)["understudy.camera"]: one for one in told.collector.spans("detect")}
    for way in ("http", "grpc"):
        detect = found[f"gate-{way}"]
        assert (detect.trace_id.hex(), detect.parent_span_id.hex()) == (TRACES[way], SPAN)
    streamed = found["gate-stream"]
    assert streamed.trace_id.hex() not in TRACES.values()
    assert [link.trace_id.hex() for link in streamed.links] == [TRACES["stream"]]


def test_a_line_names_the_trace_that_tells_more(told: Told) -> None:
    (line,) = [one for one in told.lines if one.get("request_id") == "r-http"]
    assert line["trace_id"] == TRACES["http"]
