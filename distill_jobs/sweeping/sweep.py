"""Many students with different settings, one data set and one teacher, judged on validation.

The test split measures nothing: a trial ends with its training, and its folder has no test images.
A sweep that was killed goes on: the trial that was under way goes on from its last epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from distill_jobs.errors import JobError, JobFileInvalid
from distill_jobs.job import Job
from distill_jobs.progress import Reporter
from distill_jobs.recipe.sweep import Sweep
from distill_jobs.results import validated
from distill_jobs.run_folder import RunFolder
from distill_jobs.sweeping.ledger import SweepFigures
from distill_jobs.sweeping.trial_folder import open_trial, trials_of
from distill_jobs.sweeping.trial_job import check_space, write_trial_job
from distill_jobs.training.listening import EpochListener

if TYPE_CHECKING:
    from distill_jobs.sweeping.study import Study

# Trials that fail (settings that exclude each other, losses that explode) must come to an end.
_MOST_FAILURES_A_TRIAL = 3


class Runner(Protocol):
    """What does the work of a sweep: `distill_jobs.run` in a job."""

    def prepare(self, folder: RunFolder, reporter: Reporter) -> None:
        """Do the data and teacher steps."""

    def train_student(
        self, folder: RunFolder, reporter: Reporter, listeners: Sequence[EpochListener]
    ) -> None:
        """Do the student step."""


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
    from distill_jobs.sweeping.study import Study  # noqa: PLC0415  # optuna is heavy

    with plan.folder.alone():
        runner.prepare(plan.folder, reporter)
        journal = plan.folder.path / "trials.journal"
        study = Study(journal, plan.job.name, plan.sweep, plan.job.seed)
        figures = study.figures()
        allowed = figures.failed + _MOST_FAILURES_A_TRIAL * plan.trials
        while figures.counted < plan.trials:
            if figures.failed >= allowed:
                raise JobError(
                    f"the last trials all failed: {figures.trials[-1].reason}. Narrow "
                    f"`sweep.space` in {plan.folder.job_file}"
                )
            _run_trial(plan, study, runner, reporter)
            figures = study.figures()
            for line in figures.told_last(plan.trials):
                reporter.note(line)
        figures.write(plan.folder.path / "sweep.json")
        for best in figures.ranked()[:1]:
            write_trial_job(plan.job, best.values, plan.folder.path / "best.yaml", _base(plan))
    return figures


def _run_trial(plan: SweepPlan, study: "Study", runner: Runner, reporter: Reporter) -> None:
    from distill_jobs.sweeping.study import TooWeak  # noqa: PLC0415  # optuna is heavy

    trial = study.next_trial()
    job_file = trials_of(plan.folder) / f"{trial.name}.yaml"
    try:
        write_trial_job(plan.job, trial.values, job_file, _base(plan))
        folder = open_trial(plan.folder, trial.name, job_file)
        with folder.alone():
            runner.train_student(folder, reporter, (trial,))
    except TooWeak:
        study.give_up(trial)
    except JobError as error:
        study.fail(trial, error.message)
    else:
        kept = validated(folder, "student") if plan.sweep.metric == "map50_95" else None
        study.complete(trial, kept.map50_95 if kept else None)


def _base(plan: SweepPlan) -> Path:
    return Path(plan.folder.place("job_base"))
