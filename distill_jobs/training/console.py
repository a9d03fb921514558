"""Ultralytics' own output, sent to the run's log instead of the terminal."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def logged_to(log: Path | None) -> Iterator[None]:
    """Append what ultralytics says to a file while the block runs; nothing reaches the terminal.

    Args:
        log: Created if missing; None drops what is said.
    """
    from ultralytics.utils import LOGGER  # noqa: PLC0415  # heavy, and after offline()

    handler: logging.Handler = logging.NullHandler()
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    before = LOGGER.handlers[:], LOGGER.level, LOGGER.propagate
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    try:
        yield
    finally:
        LOGGER.handlers[:], LOGGER.propagate = before[0], before[2]
        LOGGER.setLevel(before[1])
        handler.close()
