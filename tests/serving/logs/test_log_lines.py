"""How lines look: for machines, for people, and what libraries say."""

import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import structlog

from serving.logs.frame_note import FrameNote, note_arm, noted
from serving.logs.styles import LogLevel
from serving.store.values import ReleaseKey

STUDENT = ReleaseKey.parse("student-1.0")


def test_a_line_is_one_json_object_with_time_level_event_and_process_first(log: Any) -> None:
    structlog.get_logger().warning("frame_failed", code="overloaded", total_ms=1.5, none=None)

    (line,) = log.lines()
    assert list(line)[:4] == ["timestamp", "level", "event", "process"]
    assert line["timestamp"].endswith("Z")
    del line["timestamp"]
    assert line == {
        "level": "warning",
        "event": "frame_failed",
        "process": "gateway-1",
        "code": "overloaded",
        "total_ms": 1.5,
        "none": None,
    }


def test_lines_that_are_said_for_a_frame_name_it(log: Any) -> None:
    say = structlog.get_logger().info
    with noted(FrameNote("abc", "gate-7", "")):
        say("before")
        note_arm("student", STUDENT)
        say("after", arm="said by the line itself")
    say("outside")

    before, after, outside = log.lines()
    assert (before["request_id"], before["camera"]) == ("abc", "gate-7")
    assert not {"route", "arm", "model"} & set(before)
    assert (after["model"], after["version"]) == ("student", "1.0")
    assert after["arm"] == "said by the line itself"
    assert "request_id" not in outside


def test_an_exception_is_one_field_of_its_line(log: Any) -> None:
    try:
        int("no")
    except ValueError:
        structlog.get_logger().exception("internal error")

    (line,) = log.lines()
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("invalid literal for int() with base 10: 'no'")


def test_a_long_traceback_keeps_its_last_line_and_its_first(log: Any) -> None:
    def fails(depth: int) -> None:
        try:
            if depth:
                fails(depth - 1)
        finally:
            raise ValueError(f"reason {depth}")

    try:
        fails(200)
    except ValueError:
        structlog.get_logger().exception("internal error")

    (line,) = log.lines()
    assert "characters left out" in line["exception"]
    assert "ValueError: reason 0\n" in line["exception"]
    assert line["exception"].endswith("ValueError: reason 200")


class Unspeakable:
    def __str__(self) -> str:
        raise ValueError("no")


def test_nothing_that_is_said_raises_into_who_says_it(log: Any) -> None:
    itself: list[Any] = []
    itself.append(itself)
    structlog.get_logger().warning(
        "said",
        name=os.fsdecode(b"gate\xff.jpg"),
        large=2**70,
        numpy=np.float64(0.5),
        none=float("nan"),
        itself=itself,
        keyed={Unspeakable(): 1},
    )

    (line,) = log.lines()
    told = {name: line[name] for name in ("name", "large", "numpy", "none", "itself", "keyed")}
    assert told == {
        "name": "gate?.jpg",
        "large": str(2**70),
        "numpy": 0.5,
        "none": None,
        "itself": "<list>",
        "keyed": "<dict>",
    }


def test_libraries_speak_the_same_way_and_only_of_what_matters(log: Any) -> None:
    library = logging.getLogger("uvicorn.error")
    library.info("Started server process")
    library.error("Exception in %s", "application")
    logging.getLogger("odd").log(35, "between two levels")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", UserWarning, stacklevel=1)

    said = [(line["level"], line["logger"], line["event"]) for line in log.lines()]
    assert said[:2] == [
        ("error", "uvicorn.error", "Exception in application"),
        ("warning", "odd", "between two levels"),
    ]
    assert said[2][:2] == ("warning", "py.warnings")
    assert "UserWarning: old" in said[2][2]


def test_a_stranger_fills_no_log_through_a_library(log: Any) -> None:
    for number in range(1000):
        logging.getLogger("grpc._cython.cygrpc").error("Exception deserializing request %d", number)
    logging.getLogger("uvicorn.error").error("another library's word")

    said = [line["event"] for line in log.lines()]
    # A run of a second or more has the lines of several seconds.
    assert len([event for event in said if event.startswith("Exception")]) < 100
    assert "Exception deserializing request 0" in said
    assert "another library's word" in said


def test_what_is_below_the_level_is_not_said(log: Any, set_up: Callable[..., None]) -> None:
    set_up("gateway-1", level=LogLevel.ERROR, output=log.output)
    structlog.get_logger().warning("frame_failed")
    structlog.get_logger().error("process_ended")
    assert [line["event"] for line in log.lines()] == ["process_ended"]


_SPEAK = """
import structlog
from serving.logs.lines import set_up_log
from serving.logs.styles import LogFormat
set_up_log("gateway-1", form=LogFormat({form!r}))
structlog.get_logger().info("release_ready", release="student-1.0", workers=2)
"""


def spoken(form: str, *, terminal: bool, **environment: str) -> str:
    """What another process says to a terminal (or to a pipe) as its standard error."""
    ours, its = os.openpty() if terminal else os.pipe()
    # A pipe's first end is the one that is read.
    try:
        subprocess.run(
            [sys.executable, "-c", _SPEAK.format(form=form)],
            stderr=its,
            check=True,
            timeout=60,
            env={"PATH": os.environ["PATH"], "TERM": "xterm"} | environment,
        )
        os.set_blocking(ours, False)
        return os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(its)


@pytest.mark.parametrize(
    ("form", "terminal", "for_people"),
    [
        ("auto", True, True),
        ("auto", False, False),
        ("console", False, True),
        ("json", True, False),
    ],
)
def test_a_terminal_gets_lines_for_people_unless_told_otherwise(
    form: str, terminal: bool, for_people: bool
) -> None:
    said = spoken(form, terminal=terminal)
    assert ("\x1b[" in said) == (for_people and terminal)
    if for_people:
        plain = spoken(form, terminal=terminal, NO_COLOR="1").strip()
        time, _, rest = plain.partition(" ")
        assert len(time) == len("12:34:56")
        assert rest == "[info     ] release_ready        [gateway-1] release=student-1.0 workers=2"
    else:
        assert json.loads(said)["event"] == "release_ready"
