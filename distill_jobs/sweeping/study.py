"""A sweep's memory: what is tried next, and what became of it, kept in `trials.journal`.

What a trial tries depends on the trials that ended before it and on the job's seed, on nothing
else; one that a kill interrupted is the same trial when the sweep goes on. So a sweep that was
killed ends as one that was not.
"""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from distill_jobs.recipe.sweep import Sweep, Value
from distill_jobs.sweeping.ledger import State, SweepFigures, TrialFigures
from distill_jobs.sweeping.trial_job import suggest
from distill_jobs.training.listening import EpochSeen

_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "stopped early",
    TrialState.FAIL: "failed",
}


class TooWeak(Exception):
    """The pruner gives a trial up."""


@dataclass(frozen=True)
class Trial:
    """A trial under way: an `EpochListener` that ends it where it is behind.

    Attributes:
        asked: Optuna's side of it.
        name: Of its folder: "0003" is the third.
        values: What it tries, by dotted key.
        metric: What it is judged by.
    """

    asked: optuna.Trial
    name: str
    values: dict[str, Value]
    metric: str

    def epoch_ended(self, seen: EpochSeen) -> None:
        """Note the epoch.

        Raises:
            TooWeak: Half of the other trials were better at this epoch.
        """
        value = seen.validation.get(self.metric)
        if value is None or not math.isfinite(value):
            return
        with warnings.catch_warnings():
            # An epoch that is trained again after a kill is reported again.
            warnings.filterwarnings("ignore", message=".*already reported.*")
            self.asked.report(value, seen.epoch + 1)
        if not seen.last and self.asked.should_prune():
            raise TooWeak


class Study:
    """Asks the sampler, and tells it what came of it.

    Args:
        journal: File that all of it is kept in; made where it is missing.
        name: Of the job.
        sweep: What may be tried.
        seed: Of the job.
    """

    def __init__(self, journal: Path, name: str, sweep: Sweep, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._sweep = sweep
        self._seed = seed
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(journal))),
            study_name=name,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(
                n_startup_trials=sweep.startup_trials,
                n_warmup_steps=sweep.warmup_epochs + 1,  # steps count from 1
            ),
        )

    def next_trial(self) -> Trial:
        """Return the trial that a kill interrupted, or begin another."""
        ended = self._ended()
        self._study.sampler = self._sampler(ended)
        asked = self._interrupted() or self._study.ask()
        values = suggest(asked, self._sweep.space)
        name = f"{len(ended) + 1:04d}"
        asked.set_user_attr("folder", name)  # from here on it is what it is
        return Trial(asked, name, values, self._sweep.metric)

    def complete(self, trial: Trial, kept: float | None = None) -> None:
        """Take a trial whose training came to its end; without a finite epoch it has failed.

        Args:
            trial: The trial.
            kept: What the student that was kept scores as a release is measured; None: what its
                best epoch did.
        """
        noted = self._study.trials[trial.asked.number].intermediate_values
        if noted:
            self._study.tell(trial.asked, max(noted.values()) if kept is None else kept)
        else:
            self.fail(trial, "no epoch of it was measured on the validation split")

    def give_up(self, trial: Trial) -> None:
        """Take a trial that was stopped early."""
        self._study.tell(trial.asked, state=TrialState.PRUNED)

    def fail(self, trial: Trial, reason: str) -> None:
        """Take a trial that came to nothing."""
        trial.asked.set_user_attr("reason", reason)
        self._study.tell(trial.asked, state=TrialState.FAIL)

    def figures(self) -> SweepFigures:
        """Read the ended trials back."""
        return SweepFigures(self._sweep.metric, [_figures(trial) for trial in self._ended()])

    def _ended(self) -> list[FrozenTrial]:
        ended = self._study.get_trials(states=tuple(_STATES))
        return [trial for trial in ended if "folder" in trial.user_attrs]

    def _sampler(self, ended: list[FrozenTrial]) -> BaseSampler:
        seed = self._seed + len(ended)
        if ended and ended[-1].state == TrialState.FAIL:
            # The sampler learns nothing from a failure and would try its neighbours next.
            return RandomSampler(seed=seed)
        return TPESampler(seed=seed, n_startup_trials=self._sweep.startup_trials)

    def _interrupted(self) -> optuna.Trial | None:
        found = None
        for trial in self._study.get_trials(states=(TrialState.RUNNING,)):
            if "folder" in trial.user_attrs:
                found = optuna.Trial(self._study, trial._trial_id)
            else:  # killed before all of its values were drawn: they are drawn anew, and the same
                self._study.tell(trial.number, state=TrialState.FAIL)
        return found


def _figures(trial: FrozenTrial) -> TrialFigures:
    noted = trial.intermediate_values
    epoch = max(noted, key=lambda step: (noted[step], -step), default=0)
    return TrialFigures(
        number=int(trial.user_attrs["folder"]),
        state=_STATES[trial.state],
        value=trial.value if trial.state == TrialState.COMPLETE else noted.get(epoch),
        epoch=epoch,
        epochs=max(noted, default=0),
        values=dict(trial.params),
        folder=str(trial.user_attrs["folder"]),
        reason=str(trial.user_attrs.get("reason", "")),
    )
