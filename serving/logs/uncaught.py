"""What ends a process or a thread is said as everything else is: in one line, and redacted."""

import sys
import threading
from types import TracebackType

import structlog

_log = structlog.get_logger(__name__)


def say_uncaught() -> None:
    """Have errors that nobody catches said by the log in place of a raw traceback."""
    sys.excepthook = _of_process
    threading.excepthook = _of_thread


def _of_process(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        _log.critical("crashed", exc_info=(kind, error, trace))


def _of_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        name = None if args.thread is None else args.thread.name
        told = (args.exc_type, args.exc_value, args.exc_traceback)
        _log.critical("thread_crashed", thread=name, exc_info=told)
