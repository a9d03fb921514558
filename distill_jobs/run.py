"""A job's steps in order; each leaves a marker, so that a killed run goes on where it was."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from distill_jobs.checkpoints import digest, load_detector, parameter_count
from distill_jobs.data.dataset import Dataset
from distill_jobs.environment import offline, process_count, process_rank
from distill_jobs.errors import TrainingFailed
from distill_jobs.job import Job
from distill_jobs.progress import Reporter
from distill_jobs.pruning import cut_student
from distill_jobs.recipe.distillation import Distillation
from distill_jobs.recipe.networks import Student, Teacher
from distill_jobs.recipe.training import Training
from distill_jobs.results import RunResult, read_result
from distill_jobs.run_folder import RunFolder
from distill_jobs.taking_in import data_step
from distill_jobs.tracking.run_page import page_written
from distill_jobs.tracking.tracking import track
from distill_jobs.training.listening import EpochListener

__all__ = ["RunResult", "follow", "prepare", "resume", "run_job", "train_student"]


def run_job(
    job_file: Path,
    run_dir: Path,
    *,
    reporter: Reporter,
    model_store: Path | None = None,
    signing_key: Path | None = None,
) -> RunResult:
    """Run a job from its file to signed archives.

    Args:
        job_file: YAML.
        run_dir: New folder for everything the run writes but the archives.
        reporter: Told of progress.
        model_store: Gets the archives; `model_store/` of the working directory when None.
        signing_key: Private key, PEM, made if missing; the user's own when None.

    Returns:
        Paths and figures.

    Raises:
        JobError: The job file, the data, a checkpoint, the training or the gate says no; the run
            can be resumed where that makes sense.
    """
    offline()
    from distill_jobs.release.sign import default_key, ensure_key  # noqa: PLC0415  # heavy
    from distill_jobs.releasing import refuse_taken  # noqa: PLC0415  # likewise

    job = Job.load(job_file)
    key = (signing_key or default_key()).absolute()
    store = (model_store or Path("model_store")).resolve()
    refuse_taken(job, store)
    if job.archive is not None:
        ensure_key(key)  # now, rather than after an hour of training
    places = {"model_store": str(store), "signing_key": str(key)}
    folder = RunFolder.create(run_dir.absolute(), job_file, places)
    return _go_on(folder, reporter)


def resume(run_dir: Path, *, reporter: Reporter) -> RunResult:
    """Go on with a run that was killed or failed; finished steps are not done again.

    A training goes on from its last finished epoch, or from a batch within it (`checkpoint_batches`
    of the job file), with weights, EMA and optimizer in full precision and every random state. On
    the CPU of one machine its result is that of a run that was never stopped, bit for bit; on a GPU
    as far as its kernels repeat themselves.

    Raises:
        DataChanged: The data is not what the run locked.
        JobError: As `run_job`.
    """
    offline()
    return _go_on(RunFolder.open(run_dir.absolute()), reporter)


def prepare(folder: RunFolder, reporter: Reporter) -> None:
    """Do the data and teacher steps: what the trials of a sweep share.

    Raises:
        JobError: As `run_job`.
    """
    offline()
    job = folder.job()
    data_step(folder, job, reporter)
    _teacher_step(folder, job, reporter)


def train_student(
    folder: RunFolder, reporter: Reporter, listeners: Sequence[EpochListener] = ()
) -> None:
    """Do the student step of a run whose data and teacher are there.

    Args:
        folder: Of the run.
        reporter: Told of progress.
        listeners: Told of every epoch; what they raise ends the training.

    Raises:
        JobError: As `run_job`.
    """
    offline()
    _student_step(folder, folder.job(), reporter, listeners)


def follow() -> bool:
    """Train along with the first process that `torchrun` started for a job.

    Returns:
        False at once where this process is the first, or the only one; else True once the job
        needs it no more.
    """
    if process_rank() == 0:
        return False
    offline()
    from distill_jobs.training.train import follow as train_along  # noqa: PLC0415  # heavy

    train_along()
    return True


@contextlib.contextmanager
def _followers() -> Iterator[None]:
    """Let `torchrun`'s other processes go when the block ends."""
    if process_count() == 1:
        yield
        return
    from distill_jobs.training.train import with_followers  # noqa: PLC0415  # heavy

    with with_followers():
        yield


def _go_on(folder: RunFolder, reporter: Reporter) -> RunResult:
    from distill_jobs.releasing import refuse_unfit  # noqa: PLC0415  # heavy

    with folder.alone(), _followers(), page_written(folder, reporter):
        job = folder.job()
        dataset = data_step(folder, job, reporter)
        refuse_unfit(job, dataset)
        _teacher_step(folder, job, reporter)
        if job.student is not None and job.training is not None:
            _student_step(folder, job, reporter)
        _release_steps(folder, job, dataset, reporter)
    return read_result(folder)


def _teacher_step(folder: RunFolder, job: Job, reporter: Reporter) -> None:
    if folder.figures("teacher") is not None:
        return
    with folder.step("teacher") as figures:
        if job.teacher.train is not None:
            figures["train_seconds"] = _train(folder, job, job.teacher, job.teacher.train, reporter)
        elif job.teacher.weights is not None:
            _take_lead(folder, job)
            figures["train_seconds"] = 0.0
        figures.update(_describe(folder, "teacher"))


def _take_lead(folder: RunFolder, job: Job) -> None:
    from distill_jobs.training.teachers.lead import take_lead  # noqa: PLC0415  # after offline()

    names = Dataset.load(folder.data / "data.yaml").class_names
    take_lead(job.teacher, folder.checkpoint("teacher"), names)


def _student_step(
    folder: RunFolder, job: Job, reporter: Reporter, listeners: Sequence[EpochListener] = ()
) -> None:
    if folder.figures("student") is not None or job.student is None or job.training is None:
        return
    with folder.step("student") as figures:
        figures["train_seconds"] = _train(
            folder,
            job,
            cut_student(folder, job, job.student, reporter),
            job.training,
            reporter,
            distillation=job.distillation,
            listeners=listeners,
        )
        figures.update(_describe(folder, "student"))


def _train(
    folder: RunFolder,
    job: Job,
    network: Teacher | Student,
    training: Training,
    reporter: Reporter,
    *,
    distillation: Distillation | None = None,
    listeners: Sequence[EpochListener] = (),
) -> float:
    """Train one model; returns the seconds that it took in this process."""
    from distill_jobs.training.train import TrainRequest, train  # noqa: PLC0415  # after offline()

    role = "teacher" if isinstance(network, Teacher) else "student"
    data = Dataset.load(folder.data / "data.yaml")
    request = TrainRequest(
        title=f"train {role}" if distillation is None else f"distil {role}",
        network=network,
        training=training,
        data=data,
        image_size=job.image_size,
        seed=job.seed,
        folder=folder.training(role),
        log=folder.log,
        output=folder.checkpoint(role),
        teacher=folder.checkpoint("teacher") if distillation is not None else None,
        distillation=distillation,
        # The lead's checkpoint has the data set's classes by now.
        voice=job.teacher.model_copy(update={"classes": {}}),
        further=job.further_teachers,
        answers=folder.path / "teacher-answers",
        listeners=(track(folder, job, role, data.class_names, reporter), *listeners),
    )
    start = time.monotonic()
    train(request, reporter)
    return round(time.monotonic() - start, 1)


def _describe(folder: RunFolder, role: str) -> dict[str, Any]:
    checkpoint = folder.checkpoint(role)
    if not checkpoint.exists():
        raise TrainingFailed(f"{role}: no checkpoint came out of its training; see {folder.log}")
    return {
        "parameters": parameter_count(load_detector(checkpoint)),
        "sha256": digest(checkpoint),
        "checkpoint_bytes": checkpoint.stat().st_size,
    }


def _release_steps(folder: RunFolder, job: Job, dataset: Dataset, reporter: Reporter) -> None:
    from distill_jobs.releasing import (  # noqa: PLC0415  # after offline()
        Role,
        measure_or_release,
        withdraw_unfinished,
    )

    roles: tuple[Role, ...] = ("teacher", "student") if job.student else ("teacher",)
    for role in roles:
        step = f"release-{role}"
        if folder.figures(step) is None:
            killed_before = folder.begun(step)
            with folder.step(step) as figures:
                if killed_before:
                    withdraw_unfinished(folder, job, dataset, role)
                figures.update(measure_or_release(folder, job, dataset, role, reporter))
