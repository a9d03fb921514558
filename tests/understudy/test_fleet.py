"""The demo's cameras count what really came of each frame."""

import asyncio
import socket
from functools import partial

import pytest

from proto.wire.v1 import detection_pb2
from serving.client import AsyncDetectClient, HttpDetectClient
from understudy.demo.figures import variant_of
from understudy.demo.fleet import Ask, Fleet, Outcome, Sent


def _answering(arm: str) -> Ask:
    async def ask(request: detection_pb2.DetectRequest) -> detection_pb2.DetectResponse:
        answered_by = detection_pb2.AnsweredBy(arm=arm, variant="fp32")
        return detection_pb2.DetectResponse(answered_by=answered_by, frame_id=request.frame_id)

    return ask


async def _hanging(request: detection_pb2.DetectRequest) -> detection_pb2.DetectResponse:
    await asyncio.Event().wait()
    return detection_pb2.DetectResponse()


async def _failing(request: detection_pb2.DetectRequest) -> detection_pb2.DetectResponse:
    raise ConnectionError("gone")


async def _run_until_all_tried(asks: dict[str, Ask]) -> Fleet:
    fleet = Fleet(asks, [b"a", b"b"], period_s=0.01, deadline_s=0.01)
    running = asyncio.create_task(fleet.run())
    await fleet.until(lambda f: {sent.camera_id for sent in f.sent} == set(asks), timeout_s=10)
    fleet.stop()
    await running
    return fleet


async def test_answers_failures_and_hangs_are_told_apart() -> None:
    fleet = await _run_until_all_tried(
        {"good": _answering("student"), "hung": _hanging, "failed": _failing}
    )

    outcomes = {(sent.camera_id, sent.outcome) for sent in fleet.sent}

    assert outcomes == {
        ("good", Outcome.DETECTIONS),
        ("hung", Outcome.HUNG),
        ("failed", Outcome.FAILED),
    }
    assert {sent.error for sent in fleet.sent if sent.camera_id == "failed"} == {
        "ConnectionError: gone"
    }


async def test_the_variant_that_gave_most_of_an_arms_answers_is_the_one_that_served() -> None:
    fleet = await _run_until_all_tried({"a": _answering("student"), "hung": _hanging})
    others = [Sent("b", 0.0, 0.0, Outcome.DETECTIONS, "teacher", variant="int8")] * 1000
    once = Sent("c", 0.0, 0.0, Outcome.DETECTIONS, "teacher", variant="fp32")

    assert variant_of(fleet.sent + others, "student") == "fp32"
    assert variant_of([once, *others], "teacher") == "int8"
    with pytest.raises(ValueError, match="live answered no frame"):
        variant_of(others, "live")


async def test_until_waits_for_every_camera_to_be_answered_by_the_wanted_arm() -> None:
    fleet = Fleet(
        {"a": _answering("student"), "b": _answering("student")},
        [b"x"],
        period_s=0.01,
        deadline_s=1,
    )
    running = asyncio.create_task(fleet.run())

    await fleet.until(lambda f: f.last_arm == {"a": "student", "b": "student"}, timeout_s=5)
    fleet.stop()
    await running

    assert {sent.arm for sent in fleet.sent} == {"student"}


async def test_a_server_that_never_answers_hangs_its_cameras_over_grpc_and_http() -> None:
    # Connections wait in the backlog; nobody ever takes one.
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        async with (
            AsyncDetectClient(f"{host}:{port}", None) as grpc,
            HttpDetectClient(f"http://{host}:{port}", None) as http,
        ):
            asks: dict[str, Ask] = {
                "grpc": partial(grpc.detect, timeout_s=0.3),
                "http": partial(http.detect, timeout_s=0.3),
            }
            fleet = Fleet(asks, [b"x"], period_s=0.1, deadline_s=0.3)
            running = asyncio.create_task(fleet.run())
            await fleet.until(lambda f: {one.camera_id for one in f.sent} == set(asks), 10)
            fleet.stop()
            await running

    assert {sent.outcome for sent in fleet.sent} == {Outcome.HUNG}
    assert all("DeadlineExceeded" in sent.error for sent in fleet.sent)
