"""A job's progress where something collects logs."""

import io
import json
from typing import Any

import pytest

from distill_jobs.log_lines import LineReporter, job_reporter
from distill_jobs.progress import RichReporter


class Clock:
    """Seconds that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(output: io.StringIO) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in output.getvalue().splitlines()]
    for line in found:
        assert list(line)[:4] == ["timestamp", "level", "event", "process"]
        assert line.pop("timestamp").endswith("Z")
        assert line.pop("process") == "job"
    return found


def test_stages_are_told_at_their_ends_and_tenths() -> None:
    output, clock = io.StringIO(), Clock()
    with LineReporter(output, clock) as reporter:
        reporter.stage("train", 200)
        for _ in range(200):
            clock.now += 0.5
            reporter.advance()
        reporter.stage("gate", 1)

    said = lines(output)
    assert said[0] == {"level": "info", "event": "stage_began", "stage": "train", "total": 200}
    assert [line["done"] for line in said if line["event"] == "stage_goes_on"] == list(
        range(20, 200, 20)
    )
    assert [(line["stage"], line["took_s"]) for line in said if line["event"] == "stage_ended"] == [
        ("train", 100.0),
        ("gate", 0.0),
    ]


def test_a_failure_names_its_stage_and_a_note_hides_a_password() -> None:
    output = io.StringIO()

    def fails() -> None:
        with LineReporter(output) as reporter:
            reporter.note("tracked at https://me:pa/55@word@mlflow.local/ now")
            reporter.stage("train", 2)
            reporter.advance()
            raise MemoryError

    with pytest.raises(MemoryError):
        fails()

    note, _, goes_on, failed = lines(output)
    assert note["note"] == "tracked at https://me:[redacted]@mlflow.local/ now"
    assert goes_on["done"] == 1
    assert (failed["level"], failed["event"]) == ("error", "stage_failed")
    assert (failed["stage"], failed["done"], failed["error"]) == ("train", 1, "MemoryError")


def test_lines_are_for_who_asks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(job_reporter(), RichReporter)
    monkeypatch.setenv("UNDERSTUDY_LOG_FORMAT", "json")
    assert isinstance(job_reporter(), LineReporter)
