"""A job's progress as lines of JSON, as `understudy serve` writes its log."""

import json
import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self, TextIO

import structlog
from structlog.typing import EventDict

from distill_jobs.progress import Reporter, RichReporter

FORMAT_VARIABLE = "UNDERSTUDY_LOG_FORMAT"
# Notes may name a server; its password, which may hold "/" and "@", is nobody's to read.
_PASSWORD = re.compile(r"(://[^\s:/]{0,128}:)\S{1,512}(?=@)")


def job_reporter() -> AbstractContextManager[Reporter]:
    """Return who tells of a job: lines where UNDERSTUDY_LOG_FORMAT is "json", else a bar."""
    if os.environ.get(FORMAT_VARIABLE, "").lower() == "json":
        return LineReporter(sys.stderr)
    return RichReporter()


class LineReporter:
    """Writes a line at each stage's beginning, tenths and end, and for each note.

    Args:
        output: Where to.
        clock: Seconds, monotonic.
    """

    def __init__(self, output: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = structlog.wrap_logger(
            structlog.WriteLogger(output),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                _as_json,
            ],
            # Its own, whatever level others have set for theirs.
            wrapper_class=structlog.make_filtering_bound_logger(0),
        )
        self._clock = clock
        self._stage = ""
        self._total = self._done = self._tenths = 0
        self._began = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._end()
        elif self._stage:
            self._log.error("stage_failed", **self._where(), error=type(error).__name__)

    def stage(self, name: str, total: int) -> None:
        """Begin a stage; the one before has ended."""
        self._end()
        self._stage, self._total, self._began = name, max(1, total), self._clock()
        self._done = self._tenths = 0
        self._log.info("stage_began", stage=name, total=self._total)

    def advance(self, parts: int = 1) -> None:
        """So many parts of the stage are done."""
        self._done += parts
        tenths = self._done * 10 // self._total
        if self._stage and self._tenths < tenths < 10:
            self._tenths = tenths
            self._log.info("stage_goes_on", **self._where())

    def note(self, text: str) -> None:
        """Write a note."""
        self._log.info("note", note=_PASSWORD.sub(r"\1[redacted]", text))

    def _where(self) -> dict[str, Any]:
        took_s = round(self._clock() - self._began, 1)
        return {"stage": self._stage, "done": self._done, "total": self._total, "took_s": took_s}

    def _end(self) -> None:
        if self._stage:
            self._done = self._total
            self._log.info("stage_ended", **self._where())
        self._stage = ""


def _as_json(_logger: object, _method: str, event: EventDict) -> str:
    first = {name: event[name] for name in ("timestamp", "level", "event")}
    return json.dumps({**first, "process": "job", **event})
