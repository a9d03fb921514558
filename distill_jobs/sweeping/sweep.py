"""Many students with different settings, one data set and one teacher, judged on validation.

The test split measures nothing: a trial ends with its training, and its folder has no test images.
A sweep that was killed goes on: what is known lies in `trials.journal`, and the trial that was
under way goes on from its last epoch.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Protocol

from distill_jobs.errors import JobError, JobFileInvalid
from distill_jobs.job import Job
from distill_jobs.progress import Reporter
from distill_jobs.recipe.sweep import Sweep, Value
from distill_jobs.run_folder import RunFolder
from distill_jobs.sweeping.ledger import State, SweepFigures, TrialFigures
from distill_jobs.sweeping.trial_folder import open_trial
from distill_jobs.sweeping.trial_job import check_space, suggest, write_trial_job
from distill_jobs.tracking.curves import MAP50, MAP50_95, Curves, read_curves
from distill_jobs.training.listening import EpochListener, EpochSeen

if TYPE_CHECKING:
    import optuna

_COLUMNS = {"map50_95": MAP50_95, "map50": MAP50}
# Trials that fail (settings that exclude each other, losses that explode) must come to an end.
_MOST_FAILURES_A_TRIAL = 3
_WIDTH = 76


class Runner(Protocol):
    """What does the work of a sweep: `distill_jobs.run` in a job."""

    def prepare(self, folder: RunFolder, reporter: Reporter) -> None:
        """Do the data and teacher steps."""

    def train_student(
        self, folder: RunFolder, reporter: Reporter, listeners: Sequence[EpochListener]
    ) -> None:
        """Do the student step."""


class _TooWeak(Exception):
    """The pruner gives a trial up."""


@dataclass(frozen=True)
class _Judge:
    """Tells the study of every epoch and ends a trial that is behind: an `EpochListener`."""

    trial: "optuna.Trial"
    metric: str

    def epoch_ended(self, seen: EpochSeen) -> None:
        """Report the epoch.

        Raises:
            _TooWeak: Half of the other trials were better at this epoch.
        """
        value = seen.validation.get(self.metric)
        if value is None or not math.isfinite(value):
            return
        with warnings.catch_warnings():
            # An epoch that is trained again after a kill is reported again.
            warnings.filterwarnings("ignore", message=".*already reported.*")
            self.trial.report(value, seen.epoch + 1)
        if not seen.last and self.trial.should_prune():
            raise _TooWeak


@dataclass(frozen=True)
class SweepPlan:
    """A sweep to be done.

    Attributes:
        job: The job as the sweep's folder holds it.
        sweep: Its `sweep:` section.
        folder: The sweep's own run folder.
        trials: How many trials are wanted in all, those done earlier included.
    """

    job: Job
    sweep: Sweep
    folder: RunFolder
    trials: int


def open_sweep(job_file: Path, folder: Path, trials: int) -> SweepPlan:
    """Begin a sweep, or find it again.

    Args:
        job_file: With a `sweep:` section.
        folder: New, or that of the same sweep.
        trials: How many are wanted in all.

    Raises:
        JobFileInvalid: There is nothing to sweep, or a value of the space is not possible.
        RunFolderInvalid: The folder holds something else, or a sweep of another job file.
    """
    job = Job.load(job_file)
    if job.sweep is None or job.student is None:
        raise JobFileInvalid(
            job_file,
            1,
            "sweep",
            "is missing: name what to try, for example\n"
            "  sweep:\n    space:\n      distillation.losses.box: {low: 0.5, high: 8, log: true}",
        )
    check_space(job, job_file, folder.parent / f".{folder.name}.probe.yaml")
    if (folder / "run.json").exists():
        found = RunFolder.open(folder)
        if found.job_file.read_bytes() != job_file.read_bytes():
            raise JobError(
                f"{folder} holds a sweep of another job file: trials of different jobs cannot be "
                "compared. Give another --sweep-dir, or restore the job file "
                f"({found.job_file} is how it was)"
            )
    else:
        found = RunFolder.create(folder, job_file, {"kind": "sweep"})
    return SweepPlan(job, job.sweep, found, trials)


def run_sweep(plan: SweepPlan, runner: Runner, reporter: Reporter) -> SweepFigures:
    """Run trials until as many as wanted have counted.

    Args:
        plan: Of `open_sweep`.
        runner: Does the steps.
        reporter: Told of progress; a note a trial, with its count.

    Returns:
        All trials; also in `sweep.json`. The best one's job is `best.yaml`.

    Raises:
        JobError: Data or teacher are refused, or trials keep failing.
    """
    with plan.folder.alone():
        runner.prepare(plan.folder, reporter)
        study = _open_study(plan)
        _take_up_interrupted(study)
        failures_before = _tell(plan, study).trials
        allowed = _failed(failures_before) + _MOST_FAILURES_A_TRIAL * plan.trials
        while (figures := _tell(plan, study)).counted < plan.trials:
            if _failed(figures.trials) >= allowed:
                raise JobError(
                    f"the last trials all failed: {figures.trials[-1].reason}. Narrow "
                    f"`sweep.space` in {plan.folder.job_file}"
                )
            _run_trial(plan, study, runner, reporter)
            for line in _lines(_tell(plan, study), plan.trials):
                reporter.note(line)
        figures.write(plan.folder.path / "sweep.json")
        for best in figures.ranked()[:1]:
            write_trial_job(plan.job, best.values, plan.folder.path / "best.yaml")
    return figures


def _failed(trials: Sequence[TrialFigures]) -> int:
    return sum(one.state == "failed" for one in trials)


def _open_study(plan: SweepPlan) -> "optuna.Study":
    import optuna  # noqa: PLC0415  # heavy, and only a sweep needs it
    from optuna.storages import JournalStorage  # noqa: PLC0415  # likewise
    from optuna.storages.journal import JournalFileBackend  # noqa: PLC0415  # likewise

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(plan.folder.path / "trials.journal"))),
        study_name=plan.job.name,
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=plan.sweep.startup_trials,
            n_warmup_steps=plan.sweep.warmup_epochs + 1,  # steps count from 1
        ),
    )


def _take_up_interrupted(study: "optuna.Study") -> None:
    """Let trials that a kill left running be the next ones, in their own folders."""
    from optuna.trial import TrialState  # noqa: PLC0415  # heavy

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.set_user_attr(f"interrupted {trial.number}", True)
        if trial.params:
            folder = trial.user_attrs.get("folder", _folder_name(trial.number))
            study.enqueue_trial(trial.params, user_attrs={"folder": folder})


def _folder_name(number: int) -> str:
    return f"{number + 1:04d}"


def _run_trial(plan: SweepPlan, study: "optuna.Study", runner: Runner, reporter: Reporter) -> None:
    from optuna.samplers import RandomSampler, TPESampler  # noqa: PLC0415  # heavy
    from optuna.trial import TrialState  # noqa: PLC0415  # likewise

    # Seeded anew each time: what is tried depends on the trials before and on nothing else.
    seed = plan.job.seed + len(study.trials)
    study.sampler = TPESampler(seed=seed, n_startup_trials=plan.sweep.startup_trials)
    if study.trials and study.trials[-1].state == TrialState.FAIL:
        # The sampler learns nothing from a failure and would try its neighbours next.
        study.sampler = RandomSampler(seed=seed)
    trial = study.ask()
    values = suggest(trial, plan.sweep.space)
    name = str(trial.user_attrs.get("folder", _folder_name(trial.number)))
    trial.set_user_attr("folder", name)
    job_file = plan.folder.path / "trials" / f"{name}.yaml"
    judge = _Judge(trial, plan.sweep.metric)
    try:
        write_trial_job(plan.job, values, job_file)
        folder = open_trial(plan.folder, name, job_file)
        with folder.alone():
            runner.train_student(folder, reporter, (judge,))
        best = _best(plan, read_curves(folder.training("student")))
    except _TooWeak:
        study.tell(trial, state=TrialState.PRUNED)
    except JobError as error:
        trial.set_user_attr("reason", error.message)
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, best[1])


def _best(plan: SweepPlan, curves: Curves | None) -> tuple[int, float]:
    found = curves.best(_COLUMNS[plan.sweep.metric]) if curves is not None else None
    if found is None:
        raise JobError("no epoch of it was measured on the validation split")
    return found


def _tell(plan: SweepPlan, study: "optuna.Study") -> SweepFigures:
    """Read the ended trials back from the study; what a kill interrupted is left out."""
    from optuna.trial import TrialState  # noqa: PLC0415  # heavy

    states: dict[TrialState, State] = {
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "stopped early",
        TrialState.FAIL: "failed",
    }
    interrupted = {name for name in study.user_attrs if name.startswith("interrupted ")}
    trials: list[TrialFigures] = []
    for trial in study.get_trials(states=tuple(states)):
        if f"interrupted {trial.number}" in interrupted:
            continue
        noted = trial.intermediate_values
        epoch = max(noted, key=lambda step: (noted[step], -step), default=0)
        values: dict[str, Value] = dict(trial.params)
        trials.append(
            TrialFigures(
                number=trial.number + 1,
                state=states[trial.state],
                value=trial.value if trial.state == TrialState.COMPLETE else noted.get(epoch),
                epoch=epoch,
                epochs=max(noted, default=0),
                values=values,
                folder=str(trial.user_attrs.get("folder", "")),
                reason=str(trial.user_attrs.get("reason", "")),
            )
        )
    return SweepFigures(plan.sweep.metric, trials)


def _lines(figures: SweepFigures, wanted: int) -> list[str]:
    """Tell of the trial that has just ended, on lines that fit a terminal."""
    last = figures.trials[-1]
    tried = ", ".join(
        f"{key.rpartition('.')[2]} {told(value)}" for key, value in last.values.items()
    )
    if last.state == "failed":
        return [*wrap(f"a trial failed: {last.reason}", _WIDTH), *wrap(tried, _WIDTH)]
    best = figures.ranked()[:1]
    so_far = f"; best {best[0].value:.4f} of trial {best[0].number}" if best else ""
    ended = f", {last.state} at epoch {last.epochs}" if last.state != "complete" else ""
    value = "-" if last.value is None else f"{last.value:.4f}"
    head = f"trial {figures.counted}/{wanted}: {figures.metric} {value}{ended}{so_far}"
    return [*wrap(head, _WIDTH), *wrap(tried, _WIDTH, initial_indent="  ", subsequent_indent="  ")]


def told(value: Value) -> str:
    """Write a tried value as short as it goes."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
