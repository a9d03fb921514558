"""How many processor threads a worker's runs may use, so that the workers of a machine share it."""

import logging
import os

from handlers.choice_memory import ChoiceMemory
from handlers.errors import BadSetting
from handlers.machine import Machine

_log = logging.getLogger(__name__)

_VARIABLE = "UNDERSTUDY_THREADS"


def threads_of(
    card: str, memory: ChoiceMemory | None, machine: Machine | None = None
) -> int | None:
    """Return how many threads a worker's runs may use; None: as many as the engine likes.

    What its deployment asks for, else what the environment does, else its share of the cores where
    the deployment has several workers on this machine, or a container's limit hides some from the
    engine's own count.

    Args:
        card: Digest of its card.
        memory: What deployments ask for; None: nobody does.
        machine: None: this one.

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
    machine = machine or Machine.here()
    if workers > 1:
        share = max(1, machine.cores // workers)
        return _told(share, f"{workers} workers share {machine.cores} cores")
    return _told(machine.cores, "the container's limit") if machine.is_limited else None


def _told(threads: int, why: str) -> int:
    _log.info("threads: %d a run: %s", threads, why)
    return threads
