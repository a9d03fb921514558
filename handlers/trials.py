"""Timing a card's variants on its golden frames, in turns, and dropping what is wrong or slow."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from handlers.card import Card, Variant
from handlers.errors import BadFrame, HandlerError
from handlers.frames import Detections, Frame
from handlers.golden import Boxes, Golden, f1
from handlers.pipeline import Pipeline

# From here on no further variant is begun; the one at hand still ends its first look.
BUDGET_S = 12.0
_FIRST_ROUNDS, _ROUNDS = 2, 5
# Of the smallest models it takes many rounds to outlast a hiccup; of the first ones a fifth.
_LEAST_S = 1.5
# Of a frame's times: on a machine that does something else too, most runs are interrupted.
_QUARTILE = 25
# Slower than the best by this much after the first rounds, or after all: the machine may be busy.
_MUCH_SLOWER, _SLOWER = 1.5, 1.2

Load = Callable[[str], Pipeline]


@dataclass(frozen=True)
class Outcome:
    """What came of one variant.

    Attributes:
        name: The variant's.
        told: In a few words.
        frame_ms: The model's time for one frame, in milliseconds; None: it is not to be chosen.
    """

    name: str
    told: str
    frame_ms: float | None


@dataclass
class Trial:
    """One variant under trial.

    Attributes:
        variant: Which.
        pipeline: None before it was loaded, and once it was dropped: its memory is given back.
        rounds_ms: The model's times for each frame, a list a round, in milliseconds.
        why_not: Why it is not to be chosen; "" while it may be.
    """

    variant: Variant
    pipeline: Pipeline | None = None
    rounds_ms: list[list[float]] = field(default_factory=list)
    why_not: str = ""

    def frame_ms(self, percentile: float = _QUARTILE) -> float:
        """Return a percentile over the rounds, the mean over the frames, in milliseconds."""
        return float(np.percentile(np.array(self.rounds_ms), percentile, axis=0).mean())

    def drop(self, why_not: str) -> None:
        """Take it out and give its memory back."""
        self.why_not, self.pipeline = why_not, None

    @property
    def outcome(self) -> Outcome:
        """What came of it."""
        timed = f" {self.frame_ms():.1f} ms" if self.rounds_ms else ""
        told = f"{self.variant.name}{timed}{': ' if self.why_not else ''}{self.why_not}"
        return Outcome(self.variant.name, told, None if self.why_not else self.frame_ms())


class Trials:
    """Tries variants of one card on this machine.

    Args:
        golden: What they must answer.
        load: Loads one by name; raises HandlerError where it cannot.
        budget_s: No variant is begun, and no further round, after so many seconds.
        least_s: Rounds go on for so many seconds at least.
    """

    def __init__(
        self,
        golden: Golden,
        load: Load,
        *,
        budget_s: float = BUDGET_S,
        least_s: float = _LEAST_S,
    ) -> None:
        self._golden = golden
        self._load = load
        self._ends = time.monotonic() + budget_s
        self._least_s = least_s

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
        for _ in self._rounds(_ROUNDS, self._least_s):
            running = _running(trials)
            if len(running) < 2:
                break
            for trial in running:
                self._time(trial)
            _drop_slower(trials, _SLOWER)
        return trials

    def _rounds(self, least: int, least_s: float) -> Iterator[None]:
        """Yield so often, for so long at least, or once where the time is up."""
        ends, count = time.monotonic() + least_s, 0
        while count == 0 or (not self._is_over and (count < least or time.monotonic() < ends)):
            yield
            count += 1

    @property
    def _is_over(self) -> bool:
        return time.monotonic() >= self._ends

    def _look(self, trial: Trial) -> None:
        """Load a variant, hold its answers against the card, and time it if they are right."""
        try:
            trial.pipeline = self._load(trial.variant.name)
            wrong = self._wrong(trial, self._answers(trial.pipeline))
            if not wrong:
                for _ in self._rounds(_FIRST_ROUNDS, self._least_s / 5):
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
            answers = self._answers(trial.pipeline)
            trial.rounds_ms.append([answer.inference_ms for answer in answers])

    def _answers(self, pipeline: Pipeline) -> list[Detections]:
        answers = []
        for frame in self._golden.frames:
            (answer,) = pipeline.detect([Frame(frame.image)])
            if isinstance(answer, BadFrame):
                raise answer
            answers.append(answer)
        return answers


def try_here(
    folder: Path,
    names: Sequence[str],
    threads: int | None,
    gpu_id: int | None,
    *,
    least_s: float = _LEAST_S,
) -> list[Outcome]:
    """Try variants of an extracted archive in this process, which keeps what their engines load.

    Args:
        folder: Its root.
        names: Of the variants, the likely fastest first.
        threads: CPU threads of a run; None: as the engine likes.
        gpu_id: CUDA device; None: the CPU.
        least_s: See `Trials`.

    Returns:
        One a variant, in order.

    Raises:
        CardError: The card or a golden frame cannot be read, or there is no such variant.
    """
    card = Card.read(folder)
    trials = Trials(
        Golden.read(folder),
        lambda name: Pipeline.load(folder, name, threads, gpu_id),
        least_s=least_s,
    )
    return [one.outcome for one in trials.run([card.variant(name) for name in names])]


def _running(trials: Sequence[Trial]) -> list[Trial]:
    return [one for one in trials if one.pipeline is not None]


def _drop_slower(trials: Sequence[Trial], factor: float) -> None:
    running = _running(trials)
    best_ms = min((one.frame_ms() for one in running), default=0.0)
    for trial in running:
        if trial.frame_ms(percentile=0) > factor * best_ms:  # even at its fastest
            trial.drop("slower")
