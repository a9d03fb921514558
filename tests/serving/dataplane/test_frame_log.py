"""Which frames get a line of the log, and what it says."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from scripted_backends import STUDENT, TEACHER, Scene, open_scene
from structlog.testing import capture_logs

from proto.wire.v1 import detection_pb2 as wire
from serving.dataplane.frame_log import FrameLog
from serving.errors import InvalidField, WorkerDied, WorkerFailed
from serving.logs.frame_note import FrameNote, add_frame, noted
from serving.logs.quota import LineQuota
from serving.store.values import Fallback

RESPONSE = wire.DetectResponse(
    answered_by=wire.AnsweredBy(arm="student", model="student", version="1.0"),
    timings=wire.Timings(total_ms=1500),
)


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        return self.now

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        self.due.append((self.now + delay_s, call))

    def pass_s(self, seconds: float) -> None:
        self.now += seconds
        for at, call in self.due:
            if at <= self.now:
                call()
        self.due = [one for one in self.due if one[0] > self.now]


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_scene(tmp_path, backends=1, log=FrameLog(answers_share=1.0)) as opened:
        yield opened


def named(line: Any) -> tuple[str, ...]:
    return tuple(line[name] for name in ("request_id", "camera", "arm", "model", "version"))


async def test_a_line_names_request_camera_arm_and_version(scene: Scene) -> None:
    await scene.route(student=100)
    with capture_logs(processors=[add_frame]) as lines:
        await scene.detect()

    (line,) = lines
    assert (line["event"], line["log_level"]) == ("frame_answered", "info")
    assert named(line) == ("r", "gate-7", "student", "student", "1.0")
    assert line["total_ms"] > 0


async def test_so_does_that_of_a_frame_that_fails(scene: Scene) -> None:
    await scene.route(student=100)
    scene.backends["backend-0"].once.append(WorkerFailed("it raised"))
    with capture_logs(processors=[add_frame]) as lines, pytest.raises(WorkerFailed):
        await scene.detect(timeout_s=0.3)

    (line,) = lines
    assert (line["event"], line["log_level"]) == ("frame_failed", "warning")
    assert (line["code"], line["why"]) == ("worker_failed", "it raised")
    assert named(line) == ("r", "gate-7", "student", "student", "1.0")


async def test_one_whose_stand_in_fails_too_is_told_of_its_own_arm(scene: Scene) -> None:
    backend = scene.backends["backend-0"]
    await scene.route(student=100, fallback=Fallback(arm="teacher", budget=1.0))
    await scene.detect()
    backend.standing |= {STUDENT: WorkerFailed("it raised"), TEACHER: WorkerFailed("it too")}
    with capture_logs(processors=[add_frame]) as lines, pytest.raises(WorkerFailed):
        await scene.detect()

    assert backend.asked[-2:] == [STUDENT, TEACHER]
    (line,) = lines
    assert (line["event"], line["why"]) == ("frame_failed", "it raised")
    assert named(line) == ("r", "gate-7", "student", "student", "1.0")


async def test_a_mistake_of_the_cameras_own_is_said_to_who_looks_for_it(scene: Scene) -> None:
    await scene.route()
    with capture_logs(processors=[add_frame]) as lines, pytest.raises(InvalidField):
        await scene.detect(camera_id="x" * 200)

    (line,) = lines
    assert (line["event"], line["log_level"]) == ("frame_refused", "debug")
    assert line["camera"] == "x" * 128


def test_only_slow_answers_get_a_line_by_default() -> None:
    quiet = FrameLog(slow_s=1.0)
    with capture_logs() as lines:
        quiet.answered(RESPONSE, 0.9)
        quiet.answered(RESPONSE, 1.1)
        FrameLog(slow_s=0).answered(RESPONSE, 100)

    assert [(line["event"], line["log_level"]) for line in lines] == [("frame_slow", "warning")]
    assert (lines[0]["arm"], lines[0]["version"], lines[0]["total_ms"]) == ("student", "1.0", 1500)


def test_a_share_of_the_answers_gets_a_line() -> None:
    some = FrameLog(answers_share=0.5)
    with capture_logs() as lines:
        for _ in range(1000):
            some.answered(RESPONSE, 0.01)
    assert 400 < len(lines) < 600


def test_an_outage_does_not_fill_the_log_and_what_was_left_out_is_told() -> None:
    clock = Clock()
    quota = LineQuota("frame_failed", clock=clock, later=clock.later)
    log = FrameLog(failed=quota)
    with capture_logs(processors=[add_frame]) as lines:
        for _ in range(500):
            with noted(FrameNote("r", "gate-7", "")):
                log.failed(WorkerDied("it died"), 0.1)
        log.answered(RESPONSE, 1.1)
        clock.pass_s(1.0)
        log.failed(WorkerDied("it died"), 0.1)

    told = [line["event"] for line in lines]
    assert told == [*["frame_failed"] * 10, "frame_slow", "lines_left_out", "frame_failed"]
    assert (lines[11]["of"], lines[11]["left_out"]) == ("frame_failed", 490)
    assert "camera" not in lines[11]


def test_slow_answers_hide_no_failure() -> None:
    log = FrameLog()
    with capture_logs() as lines:
        for _ in range(100):
            log.answered(RESPONSE, 1.1)
        log.failed(WorkerDied("it died"), 0.1)

    assert lines[-1]["event"] == "frame_failed"
    assert len(lines) < 100
