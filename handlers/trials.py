"""Timing a card's variants on its golden frames, in turns, and dropping what is wrong or slow."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from handlers.card import Card, Variant
from handlers.errors import BadFrame, HandlerError
from handlers.frames import Detections, Frame
from handlers.golden import Boxes, Golden, f1
from handlers.pipeline import Pipeline

# From here on no further variant is begun; the one at hand still ends its first look.
BUDGET_S = 12.0
_FIRST_ROUNDS = 2
# Enough for a median, and for the smallest models long enough to outlast a hiccup.
_LEAST_ROUNDS, _MOST_ROUNDS, _ROUNDS_S = 5, 60, 1.5
# Slower than the best by this much after the first rounds, or after all: the machine may be busy.
_MUCH_SLOWER, _SLOWER = 1.5, 1.2

Load = Callable[[str], Pipeline]


@dataclass(frozen=True)
class Outcome:
    """What came of one variant.

    Attributes:
        name: The variant's.
        told: In a few words.
        median_ms: The model's time for one frame, in milliseconds; None: it is not to be chosen.
    """

    name: str
    told: str
    median_ms: float | None


@dataclass
class Trial:
    """One variant under trial.

    Attributes:
        variant: Which.
        pipeline: None before it was loaded, and once it was dropped: its memory is given back.
        rounds_ms: The model's time for one frame, the mean of each round, in milliseconds.
        why_not: Why it is not to be chosen; "" while it may be.
    """

    variant: Variant
    pipeline: Pipeline | None = None
    rounds_ms: list[float] = field(default_factory=list)
    why_not: str = ""

    @property
    def median_ms(self) -> float:
        """Median of the rounds; infinite before the first."""
        return median(self.rounds_ms) if self.rounds_ms else float("inf")

    def drop(self, why_not: str) -> None:
        """Take it out and give its memory back."""
        self.why_not, self.pipeline = why_not, None

    @property
    def outcome(self) -> Outcome:
        """What came of it."""
        timed = f" {self.median_ms:.1f} ms" if self.rounds_ms else ""
        told = f"{self.variant.name}{timed}{': ' if self.why_not else ''}{self.why_not}"
        return Outcome(self.variant.name, told, None if self.why_not else self.median_ms)


class Trials:
    """Tries variants of one card on this machine.

    Args:
        golden: What they must answer.
        load: Loads one by name; raises HandlerError where it cannot.
        budget_s: No variant is begun, and no further round, after so many seconds.
    """

    def __init__(self, golden: Golden, load: Load, *, budget_s: float = BUDGET_S) -> None:
        self._golden = golden
        self._load = load
        self._ends = time.monotonic() + budget_s

    def run(self, variants: Sequence[Variant]) -> list[Trial]:
        """Try variants.

        Args:
            variants: Which, the one that is likely the fastest first.

        Returns:
            One a variant, in order. Those that have a pipeline answer rightly; the fastest of them
            is the one to choose.
        """
        trials = [Trial(variant) for variant in variants]
        for trial in trials:
            if self._is_over and _running(trials):
                trial.drop("not tried, the time was up")
                continue
            self._look(trial)
            _drop_slower(trials, _MUCH_SLOWER)
        rounds_end = time.monotonic() + _ROUNDS_S
        for place in range(_MOST_ROUNDS):
            running = _running(trials)
            enough = place >= _LEAST_ROUNDS and time.monotonic() >= rounds_end
            if len(running) < 2 or enough or self._is_over:
                break
            for trial in running:
                self._time(trial)
            _drop_slower(trials, _SLOWER)
        return trials

    @property
    def _is_over(self) -> bool:
        return time.monotonic() >= self._ends

    def _look(self, trial: Trial) -> None:
        """Load a variant, hold its answers against the card, and time it if they are right."""
        try:
            trial.pipeline = self._load(trial.variant.name)
            wrong = self._wrong(trial, self._answers(trial.pipeline))
            for place in range(0 if wrong else _FIRST_ROUNDS):
                if place == 0 or not self._is_over:
                    self._time(trial)
        except HandlerError as error:
            wrong = error.message
        except Exception as error:  # noqa: BLE001 - engines have their own; the others may run
            wrong = f"{type(error).__name__}: {error}"
        if wrong:
            trial.drop(wrong)

    def _wrong(self, trial: Trial, answers: Sequence[Detections]) -> str:
        tolerance = self._golden.tolerances.get(trial.variant.name)
        if tolerance is None:
            return "the card gives it no tolerance"
        reached = f1(self._golden.frames, [Boxes.found(one) for one in answers], tolerance)
        if reached >= tolerance.min_f1:
            return ""
        return (
            f"wrong here: its golden frames reach F1 {reached:.3f} against the card's answers and "
            f"must reach {tolerance.min_f1:.3f}"
        )

    def _time(self, trial: Trial) -> None:
        if trial.pipeline is not None:
            spent_ms = [answer.inference_ms for answer in self._answers(trial.pipeline)]
            trial.rounds_ms.append(sum(spent_ms) / len(spent_ms))

    def _answers(self, pipeline: Pipeline) -> list[Detections]:
        answers = []
        for frame in self._golden.frames:
            (answer,) = pipeline.detect([Frame(frame.image)])
            if isinstance(answer, BadFrame):
                raise answer
            answers.append(answer)
        return answers


def try_here(
    folder: Path, names: Sequence[str], threads: int | None, gpu_id: int | None
) -> list[Outcome]:
    """Try variants of an extracted archive in this process, which keeps what their engines load.

    Args:
        folder: Its root.
        names: Of the variants, the likely fastest first.
        threads: CPU threads of a run; None: as the engine likes.
        gpu_id: CUDA device; None: the CPU.

    Returns:
        One a variant, in order.

    Raises:
        CardError: The card or a golden frame cannot be read, or there is no such variant.
    """
    card = Card.read(folder)
    trials = Trials(Golden.read(folder), lambda name: Pipeline.load(folder, name, threads, gpu_id))
    return [one.outcome for one in trials.run([card.variant(name) for name in names])]


def _running(trials: Sequence[Trial]) -> list[Trial]:
    return [one for one in trials if one.pipeline is not None]


def _drop_slower(trials: Sequence[Trial], factor: float) -> None:
    running = _running(trials)
    best_ms = min((one.median_ms for one in running), default=0.0)
    for trial in running:
        # By its fastest round: a busy machine slows single ones.
        if min(trial.rounds_ms) > factor * best_ms:
            trial.drop("slower")
