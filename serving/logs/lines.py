"""How a process writes its log: JSON lines for machines, coloured ones for a terminal."""

import logging
import os
import sys
from typing import TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor

from serving.logs.frame_note import add_frame
from serving.logs.output import LastingOutput
from serving.logs.quota import LineQuota
from serving.logs.redaction import redact
from serving.logs.styles import LogFormat, LogLevel
from serving.logs.uncaught import say_uncaught

_FIRST = ("timestamp", "level", "event", "process")


def set_up_log(
    process: str,
    *,
    form: LogFormat = LogFormat.AUTO,
    level: LogLevel = LogLevel.INFO,
    output: TextIO | None = None,
) -> None:
    """Have this process's log, what libraries say and what ends it, written in one way.

    Args:
        process: Named in every line: "gateway-1".
        form: Auto: for people where the output is a terminal, JSON where it is not.
        level: The least that is said; of libraries only warnings and errors are.
        output: Standard error where None.
    """
    output = output or sys.stderr
    is_terminal = output.isatty()
    for_people = form is LogFormat.CONSOLE or (form is LogFormat.AUTO and is_terminal)

    def signed(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {**event, "process": process}

    structlog.configure(
        processors=[
            add_frame,
            structlog.processors.add_log_level,
            signed,
            # Without locals: they hold keys and images.
            structlog.processors.format_exc_info,
            redact,
            *(_terminal_end(colours=_wants_colours(is_terminal)) if for_people else _json_end()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level.value),
        # One write a line: several processes share the output.
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", LastingOutput(output))),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Libraries()], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    say_uncaught()


class _Libraries(logging.Handler):
    """Says what libraries say as if they spoke structlog.

    Each of their loggers has a quota: gRPC, with a traceback, and the parser of multipart bodies
    say a line of whatever a stranger sends that is no message and no body.
    """

    def __init__(self) -> None:
        super().__init__()
        self._quotas: dict[str, LineQuota] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on, unless its logger has had its lines of this second."""
        quota = self._quotas.setdefault(record.name, LineQuota(record.name))
        if not quota.allows():
            return
        level = min(record.levelno // 10 * 10, logging.CRITICAL)
        try:
            structlog.get_logger().log(
                level, record.getMessage(), logger=record.name, exc_info=record.exc_info or None
            )
        except Exception:  # noqa: BLE001 - as the standard library's handlers do
            self.handleError(record)


def _wants_colours(is_terminal: bool) -> bool:
    return is_terminal and not os.environ.get("NO_COLOR")


def _json_end() -> list[Processor]:
    return [structlog.processors.TimeStamper(fmt="iso", utc=True), _as_json]


def _terminal_end(*, colours: bool) -> list[Processor]:
    return [
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        _process_in_brackets,
        structlog.dev.ConsoleRenderer(
            colors=colours,
            pad_event_to=20,
            sort_keys=False,
            exception_formatter=structlog.dev.plain_traceback,
        ),
    ]


def _process_in_brackets(_logger: object, _method: str, event: EventDict) -> EventDict:
    # The renderer sets a logger's name apart, before the other fields.
    process = event.pop("process")
    return {**event, "logger_name": process, "event": str(event["event"]).strip()}


def _as_json(_logger: object, _method: str, event: EventDict) -> str:
    first = {name: event[name] for name in _FIRST if name in event}
    return orjson.dumps({**first, **event}, option=orjson.OPT_NON_STR_KEYS).decode()
