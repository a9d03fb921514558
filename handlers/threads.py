"""How many processor threads a worker's runs may use, so that the workers of a machine share it."""

import logging
import os

from handlers.choice_memory import ChoiceMemory
from handlers.errors import BadSetting
from handlers.machine import Machine

_log = logging.getLogger(__name__)

_VARIABLE = "UNDERSTUDY_THREADS"


def threads_of(card: str, memory: ChoiceMemory | None) -> int | None:
    """Return how many threads a worker's runs may use; None: as many as the engine likes.

    What its deployment asks for, else what the environment does, else its share of the cores where
    the deployment has several workers on this machine.

    Args:
        card: Digest of its card.
        memory: What deployments ask for; None: nobody does.

    Raises:
        BadSetting: What was asked for is not a whole number above 0.
    """
    asked = memory.threads(card) if memory is not None else None
    if asked is not None:
        return _told(asked, "this deployment asks for it")
    text = os.environ.get(_VARIABLE, "")
    if text:
        if not text.isdecimal() or int(text) < 1:
            raise BadSetting(f"{_VARIABLE}: must be a whole number above 0, got {text!r}")
        return _told(int(text), f"{_VARIABLE} asks for it")
    workers = (memory.workers(card) if memory is not None else None) or 1
    if workers == 1:
        return None
    cores = Machine.here().cores
    return _told(max(1, cores // workers), f"{workers} workers share {cores} cores")


def _told(threads: int, why: str) -> int:
    _log.info("threads: %d a run: %s", threads, why)
    return threads
