"""What is left out of a log that would be too long, and that it is told."""

import asyncio

from structlog.testing import capture_logs

from serving.api.internal_errors import say_internal_error
from serving.errors import WorkerFailed
from serving.logs.quota import LineQuota
from serving.store.values import ReleaseKey
from serving.torchserve.inference import refusal

STUDENT = ReleaseKey.parse("student-1.0")


async def test_what_was_left_out_is_told_once_the_second_is_over() -> None:
    quota = LineQuota("worker_failed", most=3)
    with capture_logs() as lines:
        allowed = [quota.allows() for _ in range(10)]
        async with asyncio.timeout(10):
            while not lines:  # noqa: ASYNC110 - a log tells nobody
                await asyncio.sleep(0.01)

    assert allowed == [True] * 3 + [False] * 7
    assert [(line["event"], line["left_out"]) for line in lines] == [("lines_left_out", 7)]


def test_without_a_loop_the_next_line_tells_it() -> None:
    seconds = iter([0.0, 0.1, 0.2, 5.0])
    quota = LineQuota("worker_failed", most=1, clock=lambda: next(seconds))
    with capture_logs() as lines:
        allowed = [quota.allows() for _ in range(3)]

    assert allowed == [True, False, True]
    assert [(line["of"], line["left_out"]) for line in lines] == [("worker_failed", 1)]


def test_a_model_that_raises_on_every_frame_does_not_fill_the_log() -> None:
    with capture_logs() as lines:
        for _ in range(100):
            assert isinstance(refusal(STUDENT, 503, {"message": "it raised"}), WorkerFailed)

    assert len(lines) < 100


def test_nor_does_a_bug_of_ours_with_its_tracebacks() -> None:
    quota = LineQuota("internal error", most=3, clock=lambda: 0.0)
    with capture_logs() as lines:
        for _ in range(100):
            say_internal_error(ZeroDivisionError(), quota=quota, request_id="r")

    assert [line["event"] for line in lines] == ["internal error"] * 3
