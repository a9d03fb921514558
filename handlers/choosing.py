"""Which variant a worker serves: the one that was asked for, or the fastest that answers rightly.

Only variants of the card come into question: each passed the gate where it was built. Of those that
this machine can run, each is held against the card's golden frames here, and timed on them.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from handlers.card import Card, Variant
from handlers.choice_memory import ChoiceMemory, card_digest, conditions
from handlers.errors import CardError, HandlerError, RuntimeFailed
from handlers.golden import Golden
from handlers.machine import Machine
from handlers.pipeline import Pipeline
from handlers.requirements import choose_variant, usable_variants
from handlers.runtimes import load_runtime
from handlers.trials import Outcome, try_here

_log = logging.getLogger(__name__)

Try = Callable[[Path, Sequence[str], int | None, int | None], list[Outcome]]
"""See `handlers.trials.try_here`."""

AUTO = "auto"
# Longer than another worker takes to measure, and shorter than TorchServe waits for a worker.
_WAIT_S = 30.0


@dataclass(frozen=True)
class Wishes:
    """What a worker was told.

    Attributes:
        variant: Which variant; None or "auto": the fastest.
        threads: CPU threads of a run; None: as the engine likes.
        gpu_id: CUDA device; None: the CPU.
        memory: Where choices are remembered; None: nowhere.
        try_all: Tries variants of an archive.
    """

    variant: str | None = None
    threads: int | None = None
    gpu_id: int | None = None
    memory: ChoiceMemory | None = None
    try_all: Try = try_here


@dataclass(frozen=True)
class Chosen:
    """A variant that is loaded.

    Attributes:
        variant: Which.
        pipeline: Runs it.
    """

    variant: Variant
    pipeline: Pipeline


class Chooser:
    """Chooses and loads a variant of one extracted archive.

    Args:
        folder: The archive's root.
        wishes: What the worker was told.

    Raises:
        CardError: The card cannot be served.
    """

    def __init__(self, folder: Path, wishes: Wishes) -> None:
        self._folder = folder
        self._wishes = wishes
        self._card = Card.read(folder)
        self._digest = card_digest(folder)
        self._machine = Machine.here()

    def choose(self) -> Chosen:
        """Return the variant to serve, loaded.

        Raises:
            CardError: What was asked for is not in the card or does not run here, or nothing does.
            RuntimeFailed: What was asked for does not load.
        """
        memory = self._wishes.memory
        pinned = memory.pinned(self._digest) if memory is not None else None
        wanted = pinned or self._wishes.variant
        if wanted is not None and wanted != AUTO:
            why = "this deployment asks for it" if pinned else "UNDERSTUDY_VARIANT asks for it"
            return self._load(
                choose_variant(self._card, wanted, self._wishes.gpu_id, self._machine), why
            )
        usable = usable_variants(self._card, self._wishes.gpu_id, self._machine)
        golden = Golden.read(self._folder)
        if len(usable) == 1:
            return self._load(usable[0], "no other of the card's runs on this machine")
        if not golden.frames:
            return self._load(usable[0], "the card's first; it has no golden frames to choose by")
        if memory is None:
            return self._measured(usable)[0]
        return self._remembered(memory, usable)

    def _remembered(self, memory: ChoiceMemory, usable: Sequence[Variant]) -> Chosen:
        """Take what was chosen under the same conditions, or measure and write it down."""
        wishes = self._wishes
        known = conditions(self._digest, self._machine, wishes.threads, wishes.gpu_id)
        name = memory.recall(known)
        found = self._recalled(name, usable)
        if found is not None:
            return found
        with memory.alone(self._digest, _WAIT_S):
            meanwhile = memory.recall(known)  # by a worker beside this one
            found = self._recalled(meanwhile, usable) if meanwhile != name else None
            if found is not None:
                return found
            chosen, told = self._measured(usable)
            if told:
                memory.remember(known, chosen.variant.name, told)
        return chosen

    def _recalled(self, name: str | None, usable: Sequence[Variant]) -> Chosen | None:
        """Load what the memory names, if it may be chosen at all and loads."""
        for variant in usable:
            if variant.name == name:
                try:
                    return self._load(variant, "the fastest here when it was measured")
                except HandlerError as error:
                    _log.warning("variant: %s was remembered and fails: %s", name, error.message)
        return None

    def _measured(self, usable: Sequence[Variant]) -> tuple[Chosen, str]:
        """Return the fastest variant that answers rightly, and what is to be told of all.

        Where trying them went wrong that is the card's first, and "".
        """
        started = time.monotonic()
        wishes, names = self._wishes, [one.name for one in usable]
        try:
            outcomes = wishes.try_all(self._folder, names, wishes.threads, wishes.gpu_id)
        except RuntimeFailed as error:
            return self._load(usable[0], f"the card's first, since {error.message}"), ""
        timed = {one.name: one.frame_ms for one in outcomes if one.frame_ms is not None}
        if not timed:
            faults = "; ".join(one.told for one in outcomes)
            raise CardError(f"variant: none of {self._key}'s answers rightly here: {faults}")
        best = min(usable, key=lambda one: timed.get(one.name, math.inf))
        others = "; ".join(one.told for one in outcomes if one.name != best.name)
        seconds = time.monotonic() - started
        told = f"{timed[best.name]:.1f} ms a frame, the fastest here; {others}"
        return self._load(best, f"{told}; measured in {seconds:.1f} s"), told

    def _load(self, variant: Variant, why: str) -> Chosen:
        started = time.monotonic()
        pipeline = self._pipeline(variant.name)
        seconds = time.monotonic() - started
        _log.info(
            "variant: %s serves %s: %s; loaded in %.1f s", self._key, variant.name, why, seconds
        )
        return Chosen(variant, pipeline)

    def _pipeline(self, name: str) -> Pipeline:
        wishes = self._wishes
        runtime = load_runtime(self._card, self._folder, name, wishes.threads, wishes.gpu_id)
        return Pipeline(self._card, runtime, wishes.threads)

    @property
    def _key(self) -> str:
        return f"{self._card.name}-{self._card.version}"
