"""A sweep's trials as they are told: counted, the best first, written for programs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from distill_jobs.files import write_json
from distill_jobs.recipe.sweep import Value

State = Literal["complete", "stopped early", "failed"]


@dataclass(frozen=True)
class TrialFigures:
    """What one trial came to.

    Attributes:
        number: From 1, in the order they were begun.
        state: "stopped early" was given up by the pruner; "failed" is not counted.
        value: The metric on the validation split, 0 to 1: the best epoch's, or what its checkpoint
            came to with batch norms measured anew; None without an epoch.
        epoch: The best one, from 1.
        epochs: How many it trained.
        values: What it tried, by dotted key.
        folder: Its name under `trials/`.
        reason: Why it failed.
    """

    number: int
    state: State
    value: float | None
    epoch: int
    epochs: int
    values: dict[str, Value]
    folder: str
    reason: str = ""


@dataclass(frozen=True)
class SweepFigures:
    """What a sweep came to.

    Attributes:
        metric: "map50_95" or "map50".
        trials: All of them.
        split: What they were judged on.
    """

    metric: str
    trials: Sequence[TrialFigures]
    split: str = field(default="val")

    @property
    def counted(self) -> int:
        """How many trials chose the best: those stopped early are looks at validation too."""
        return len(self.trials) - self.failed

    @property
    def failed(self) -> int:
        """How many came to nothing."""
        return sum(one.state == "failed" for one in self.trials)

    def ranked(self) -> list[TrialFigures]:
        """Return the finished trials, the best first."""
        finished = [one for one in self.trials if one.state == "complete" and one.value is not None]
        return sorted(finished, key=lambda one: (-(one.value or 0.0), one.number))

    def told_last(self, wanted: int) -> list[str]:
        """Tell of the trial that has just ended.

        Args:
            wanted: How many are to count in all.
        """
        last = self.trials[-1]
        tried = ", ".join(
            f"{key.rpartition('.')[2]} {told(value)}" for key, value in last.values.items()
        )
        if last.state == "failed":
            return [f"a trial failed: {last.reason}", f"  {tried}"]
        best = self.ranked()[:1]
        so_far = f"; best {best[0].value:.4f} of trial {best[0].number}" if best else ""
        ended = f", {last.state} at epoch {last.epochs}" if last.state != "complete" else ""
        value = "-" if last.value is None else f"{last.value:.4f}"
        head = f"trial {self.counted}/{wanted}: {self.metric} {value}{ended}{so_far}"
        return [head, f"  {tried}"]

    def write(self, path: Path) -> None:
        """Write all of it as JSON."""
        states = [one.state for one in self.trials]
        write_json(
            path,
            {
                "metric": self.metric,
                "split": self.split,
                "counted": self.counted,
                "complete": states.count("complete"),
                "stopped_early": states.count("stopped early"),
                "failed": self.failed,
                "trials": [asdict(one) for one in self.trials],
            },
        )


def told(value: Value) -> str:
    """Write a tried value as short as it goes."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
