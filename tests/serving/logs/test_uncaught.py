"""What ends a process is a line of its log as well, without its secrets."""

import json
import subprocess
import sys
from typing import Any

import pytest

_SET_UP = """
import threading
from serving.logs.lines import set_up_log
set_up_log("gateway-1")
"""
_FAILS = "raise ValueError('cannot reach postgresql://understudy:pa55word@db/')"


def said(*program: str, status: int, input_text: str = "") -> list[dict[str, Any]]:
    """The lines of a program that ends with a status."""
    done = subprocess.run(
        [sys.executable, *program],
        capture_output=True,
        input=input_text,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status
    assert "pa55word" not in done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.parametrize(
    ("program", "event", "status"),
    [
        (_FAILS, "crashed", 1),
        (f"def f(): {_FAILS}\nthreading.Thread(target=f).start()", "thread_crashed", 0),
    ],
)
def test_an_error_that_nobody_catches_is_one_line_without_secrets(
    program: str, event: str, status: int
) -> None:
    (line,) = said("-c", _SET_UP + program, status=status)
    assert (line["event"], line["level"], line["process"]) == (event, "critical", "gateway-1")
    assert line["exception"].endswith(
        "ValueError: cannot reach postgresql://understudy:[redacted]@db/"
    )


def test_so_is_that_of_a_child_whose_wiring_is_wrong() -> None:
    wiring = json.dumps({"store_url": "postgresql://understudy:pa55word@db/"})
    program = ("-m", "serving.supervisor.child")
    (line,) = said(*program, status=1, input_text=f"{wiring}\n")
    assert (line["event"], line["process"]) == ("crashed", "child")
    assert "ValidationError" in line["exception"]
