"""The spans of frames, as a collector receives them over OTLP."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from otlp_receiver import Collector, attributes, otlp_receiver
from scripted_backends import STUDENT, TEACHER, Scene, open_scene

from proto.wire.v1 import detection_pb2 as wire
from serving.api.listening import bind
from serving.dataplane.calls import Call
from serving.errors import InvalidField, WorkerDied, WorkerFailed
from serving.store.values import Fallback, Scope, Shadow
from serving.torchserve.inference import InferenceClient
from serving.torchserve.tokens import Token
from serving.tracing.opened import opened
from serving.tracing.tracing import Tracing

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"
STAGES = ["decode", "preprocess", "inference", "postprocess"]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with otlp_receiver() as receiving:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiving.url)
        yield receiving


@asynccontextmanager
async def traced(share: float = 1.0) -> AsyncIterator[Tracing]:
    """Trace; at the end everything has been sent."""
    async with opened(None, share=share, process="gateway-1", instance="g1") as tracing:
        yield tracing


@pytest.fixture
def play(tmp_path: Path, collector: Collector) -> Callable[..., Awaitable[list[Span]]]:
    """Plays a scene in a traced gateway and returns the spans of its first trace."""

    async def played(act: Callable[[Scene], Awaitable[Any]], share: float = 1.0) -> list[Span]:
        async with traced(share) as tracing, open_scene(tmp_path, tracing=tracing) as scene:
            await act(scene)
        return next(iter(collector.traces().values()), [])

    return played


def the(name: str, spans: list[Span]) -> Span:
    """The one span of a name."""
    (found,) = [span for span in spans if span.name == name]
    return found


def tree(spans: list[Span]) -> dict[str, str]:
    """Each span's name with its parent's."""
    names = {span.span_id: span.name for span in spans}
    return {span.name: names.get(span.parent_span_id, "") for span in spans}


async def test_a_frame_is_one_trace_from_admission_to_the_workers_stages(
    play: Callable[..., Awaitable[list[Span]]], collector: Collector
) -> None:
    async def act(scene: Scene) -> None:
        await scene.route(student=100)
        await scene.detect()

    spans = await play(act)
    assert len(collector.traces()) == 1
    assert tree(spans) == {
        "detect": "",
        "admission": "detect",
        "queue": "detect",
        "torchserve": "detect",
        **dict.fromkeys(STAGES, "torchserve"),
    }
    detect = the("detect", spans)
    assert attributes(detect) == {
        "understudy.request_id": "r",
        "understudy.camera": "gate-7",
        "understudy.arm": "student",
        "understudy.model": "student",
        "understudy.version": "1.0",
        "understudy.variant": "v",
        "understudy.backend": attributes(detect)["understudy.backend"],
        "understudy.code": "ok",
        "understudy.detections": 1,
    }
    assert detect.kind == Span.SPAN_KIND_SERVER
    stages = [span for span in spans if span.name in STAGES]
    assert [span.name for span in stages] == STAGES
    lasted = [span.end_time_unix_nano - span.start_time_unix_nano for span in stages]
    assert lasted == [1_000_000] * 4
    assert collector.resources["g1"]["service.name"] == "understudy"
    assert collector.resources["g1"]["understudy.process"] == "gateway-1"


async def test_a_frame_joins_its_callers_trace(
    play: Callable[..., Awaitable[list[Span]]],
) -> None:
    async def act(scene: Scene) -> None:
        await scene.route()
        await scene.detect(headers={"traceparent": SAMPLED})

    detect = the("detect", await play(act, 0.0))
    assert (detect.trace_id.hex(), detect.parent_span_id.hex()) == (TRACE, SPAN)


async def test_a_caller_that_does_not_sample_is_obeyed(
    play: Callable[..., Awaitable[list[Span]]],
) -> None:
    async def act(scene: Scene) -> None:
        await scene.route()
        await scene.detect(headers={"traceparent": UNSAMPLED})

    assert await play(act) == []


@pytest.mark.parametrize("said", ["", "00-0-0-01", "x" * 5000, f"00-{'0' * 32}-{SPAN}-01"])
async def test_a_caller_that_says_nonsense_gets_a_trace_of_its_own(
    play: Callable[..., Awaitable[list[Span]]], said: str
) -> None:
    async def act(scene: Scene) -> None:
        await scene.route()
        await scene.detect(headers={"traceparent": said})

    assert the("detect", await play(act)).parent_span_id == b""


async def test_frames_of_a_stream_each_have_a_trace_that_links_to_the_streams(
    play: Callable[..., Awaitable[list[Span]]], collector: Collector
) -> None:
    async def act(scene: Scene) -> None:
        await scene.route()
        for _ in range(2):
            await scene.detect(headers={"traceparent": SAMPLED}, streamed=True)

    await play(act)
    assert len(collector.traces()) == 2
    for detect in collector.spans("detect"):
        assert detect.trace_id.hex() != TRACE
        assert [link.trace_id.hex() for link in detect.links] == [TRACE]


async def test_each_backend_that_was_asked_has_its_span(
    play: Callable[..., Awaitable[list[Span]]], collector: Collector
) -> None:
    async def act(scene: Scene) -> None:
        await scene.route()
        scene.backends["backend-0"].standing[TEACHER] = WorkerDied("it died")
        for _ in range(2):
            await scene.detect()

    await play(act)
    calls = collector.spans("torchserve")
    ends = {attributes(one)["understudy.backend"]: one.status for one in calls}
    assert set(ends) == {"backend-0", "backend-1"}
    assert ends["backend-0"].code == Status.STATUS_CODE_ERROR
    assert ends["backend-0"].message == "worker_died"
    assert ends["backend-1"].code == Status.STATUS_CODE_UNSET
    assert {one.status.code for one in collector.spans("detect")} == {Status.STATUS_CODE_UNSET}


async def test_a_failure_is_told_by_its_code_alone(
    play: Callable[..., Awaitable[list[Span]]],
) -> None:
    async def act(scene: Scene) -> None:
        await scene.route()
        for backend in scene.backends.values():
            backend.standing[TEACHER] = WorkerFailed("it raised")
        with pytest.raises(WorkerFailed):
            await scene.detect(timeout_s=0.3)

    spans = await play(act)
    detect = the("detect", spans)
    assert (detect.status.code, detect.status.message) == (
        Status.STATUS_CODE_ERROR,
        "worker_failed",
    )
    assert attributes(detect) == {
        "understudy.request_id": "r",
        "understudy.camera": "gate-7",
        "understudy.arm": "teacher",
        "understudy.model": "teacher",
        "understudy.version": "1.0",
        "understudy.code": "worker_failed",
        "error.type": "worker_failed",
    }
    assert "it raised" not in str(spans)


async def test_a_failure_of_both_arms_is_the_frames_own_arms(
    play: Callable[..., Awaitable[list[Span]]], collector: Collector
) -> None:
    async def act(scene: Scene) -> None:
        await scene.route(student=100, fallback=Fallback(arm="teacher", budget=1.0))
        await scene.detect()
        for backend in scene.backends.values():
            backend.standing |= {key: WorkerFailed("it raised") for key in (STUDENT, TEACHER)}
        with pytest.raises(WorkerFailed):
            await scene.detect()

    await play(act)
    _, failed = collector.spans("detect")
    assert attributes(failed)["understudy.model"] == "student"
    asked = [attributes(one)["understudy.model"] for one in collector.spans("torchserve")]
    assert asked == ["student", "student", "teacher"]


async def test_a_cameras_own_mistake_is_no_failure_of_the_gateways(
    play: Callable[..., Awaitable[list[Span]]],
) -> None:
    async def act(scene: Scene) -> None:
        await scene.route()
        with pytest.raises(InvalidField):
            await scene.detect(camera_id="x" * 200)

    (detect,) = await play(act)
    assert detect.status.code == Status.STATUS_CODE_UNSET
    assert attributes(detect)["error.type"] == "invalid_field"
    assert attributes(detect)["understudy.camera"] == "x" * 128


async def test_a_shadows_trace_links_to_the_frame_that_it_answered_again(
    play: Callable[..., Awaitable[list[Span]]], collector: Collector
) -> None:
    async def act(scene: Scene) -> None:
        await scene.route(shadow=Shadow(arm="student", rate=1))
        await scene.detect()

    await play(act)
    (detect,), (shadow,) = collector.spans("detect"), collector.spans("shadow")
    assert shadow.trace_id != detect.trace_id
    assert shadow.parent_span_id == b""
    assert [(one.trace_id, one.span_id) for one in shadow.links] == [
        (detect.trace_id, detect.span_id)
    ]
    assert attributes(shadow)["understudy.arm"] == "student"
    assert tree(collector.traces()[shadow.trace_id])["inference"] == "torchserve"


async def test_what_is_not_sampled_is_not_sent_nor_is_its_shadow(
    play: Callable[..., Awaitable[list[Span]]],
) -> None:
    async def act(scene: Scene) -> None:
        await scene.route(shadow=Shadow(arm="student", rate=1))
        await scene.detect()

    assert await play(act, 0.0) == []


async def test_about_the_share_that_was_asked_for_is_sampled(
    play: Callable[..., Awaitable[list[Span]]], collector: Collector
) -> None:
    async def act(scene: Scene) -> None:
        await scene.route()
        for _ in range(200):
            await scene.detect()

    await play(act, 0.5)
    assert 60 < len(collector.spans("detect")) < 140


async def test_opentelemetrys_own_sampler_wins(
    play: Callable[..., Awaitable[list[Span]]],
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")

    async def act(scene: Scene) -> None:
        await scene.route()
        await scene.detect(headers={"traceparent": UNSAMPLED})

    await play(act, 0.0)
    assert len(collector.spans("detect")) == 1


async def test_lines_of_the_log_name_the_trace(
    tmp_path: Path, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    structlog.configure(processors=[lambda _logger, _method, event: json.dumps(event)])
    try:
        async with traced() as tracing, open_scene(tmp_path, tracing=tracing) as scene:
            await scene.route()
            for backend in scene.backends.values():
                backend.standing[TEACHER] = WorkerFailed("it raised")
            with pytest.raises(WorkerFailed):
                await scene.detect(timeout_s=0.3)
    finally:
        structlog.reset_defaults()

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (failed,) = [line for line in lines if line["event"] == "frame_failed"]
    (detect,) = collector.spans("detect")
    assert (failed["trace_id"], failed["span_id"]) == (detect.trace_id.hex(), detect.span_id.hex())


async def test_the_call_to_a_worker_carries_the_trace_on(
    tmp_path: Path, collector: Collector
) -> None:
    seen: list[str] = []

    async def predict(request: web.Request) -> web.Response:
        seen.append(request.headers["traceparent"])
        stages = dict.fromkeys(("decode", "preprocess", "inference", "postprocess"), 1.0)
        reply = {"v": 1, "width": 9, "height": 9, "variant": "v", "batch": 1, "ms": stages}
        return web.json_response(reply | {"boxes": [], "scores": [], "classes": []})

    (tmp_path / "key_file.json").write_text(json.dumps({"inference": {"key": "abcdefgh"}}))
    app = web.Application()
    app.router.add_post("/predictions/student/1.0", predict)
    runner = web.AppRunner(app)
    await runner.setup()
    listener = bind("127.0.0.1", 0, "port")
    await web.SockSite(runner, listener).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    token = Token(tmp_path / "key_file.json", "inference")
    try:
        async with (
            traced() as tracing,
            InferenceClient(url, token, tracing.headers) as client,
        ):
            call = Call("r", Scope.DETECT, headers={"traceparent": SAMPLED})
            with (
                tracing.frame(call, wire.DetectRequest()),
                tracing.worker_call(STUDENT, "backend-0"),
            ):
                await client.predict(STUDENT, b"image", timeout_s=5)
    finally:
        await runner.cleanup()

    (call_span,) = collector.spans("torchserve")
    assert seen == [f"00-{TRACE}-{call_span.span_id.hex()}-01"]
