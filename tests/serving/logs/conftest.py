"""Logs of a test's own."""

import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from serving.logs.lines import set_up_log
from serving.logs.styles import LogLevel


class Log:
    """What a process said.

    Args:
        output: Where.
    """

    def __init__(self, output: io.StringIO) -> None:
        self.output = output

    @property
    def text(self) -> str:
        return self.output.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def set_up() -> Iterator[Callable[..., None]]:
    """`set_up_log`, undone at the end."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook
    yield set_up_log
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks
    structlog.reset_defaults()


@pytest.fixture
def log(set_up: Callable[..., None]) -> Log:
    """This process's log as a server in production writes it, from debug on."""
    output = io.StringIO()
    set_up("gateway-1", level=LogLevel.DEBUG, output=output)
    return Log(output)
