"""A run's steps after its data; each leaves a marker, so that a killed run goes on where it was."""

import time
from collections.abc import Sequence
from typing import Any

from distill_jobs.checkpoints import digest, load_detector, parameter_count
from distill_jobs.data.dataset import Dataset
from distill_jobs.errors import TrainingFailed
from distill_jobs.job import Job
from distill_jobs.progress import Reporter
from distill_jobs.pruning import cut_student
from distill_jobs.recipe.distillation import Distillation
from distill_jobs.recipe.networks import Student, Teacher
from distill_jobs.recipe.training import Training
from distill_jobs.run_folder import RunFolder
from distill_jobs.tracking.tracking import track
from distill_jobs.training.listening import EpochListener


def teacher_step(folder: RunFolder, job: Job, reporter: Reporter) -> None:
    """Train the teacher, or take it in; once.

    Args:
        folder: Of the run; its data is there. Gets `teacher.pt`.
        job: The run's.
        reporter: Told of progress.

    Raises:
        UnsupportedModel: The teacher or the student could be trained, and never measured.
        JobError: A checkpoint or the training says no.
    """
    if folder.figures("teacher") is not None:
        return
    _refuse_unmeasurable(job)
    with folder.step("teacher") as figures:
        if job.teacher.train is not None:
            figures.update(_train(folder, job, job.teacher, job.teacher.train, reporter))
        elif job.teacher.weights is not None:
            _take_lead(folder, job)
            figures["train_seconds"] = 0.0
        figures.update(_describe(folder, "teacher"))


def _take_lead(folder: RunFolder, job: Job) -> None:
    from distill_jobs.training.teachers.lead import take_lead  # noqa: PLC0415  # after offline()

    names = Dataset.load(folder.data / "data.yaml").class_names
    take_lead(job.teacher, folder.checkpoint("teacher"), names)


def _refuse_unmeasurable(job: Job) -> None:
    from distill_jobs.training.measurable import refuse_unmeasurable  # noqa: PLC0415  # after offline()

    for network in (job.teacher, job.student):
        if network is not None:
            refuse_unmeasurable(network, job.image_size)


def student_step(
    folder: RunFolder, job: Job, reporter: Reporter, listeners: Sequence[EpochListener] = ()
) -> None:
    """Train the student, if the job has one; once.

    Args:
        folder: Of the run; its data and teacher are there. Gets `student.pt`.
        job: The run's.
        reporter: Told of progress.
        listeners: Told of every epoch; what they raise ends the training.

    Raises:
        JobError: A checkpoint or the training says no.
    """
    if folder.figures("student") is not None or job.student is None or job.training is None:
        return
    with folder.step("student") as figures:
        trained = _train(
            folder,
            job,
            cut_student(folder, job, job.student, reporter),
            job.training,
            reporter,
            distillation=job.distillation,
            listeners=listeners,
        )
        figures.update(trained, **_describe(folder, "student"))


def _train(
    folder: RunFolder,
    job: Job,
    network: Teacher | Student,
    training: Training,
    reporter: Reporter,
    *,
    distillation: Distillation | None = None,
    listeners: Sequence[EpochListener] = (),
) -> dict[str, Any]:
    """Train one model; returns the seconds that it took in this process, and of its batch norms."""
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
    settling = train(request, reporter)
    return {
        "train_seconds": round(time.monotonic() - start, 1),
        "batch_norms": settling and settling.figures(),
    }


def _describe(folder: RunFolder, role: str) -> dict[str, Any]:
    checkpoint = folder.checkpoint(role)
    if not checkpoint.exists():
        raise TrainingFailed(f"{role}: no checkpoint came out of its training; see {folder.log}")
    return {
        "parameters": parameter_count(load_detector(checkpoint)),
        "sha256": digest(checkpoint),
        "checkpoint_bytes": checkpoint.stat().st_size,
    }


def release_steps(folder: RunFolder, job: Job, dataset: Dataset, reporter: Reporter) -> None:
    """Measure each model and, where the job says so, release it; once.

    Args:
        folder: Of the run; its models are there.
        job: The run's.
        dataset: The run's own.
        reporter: Told of progress.

    Raises:
        JobError: The data, an export, the gate or the archiver says no.
    """
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
                    withdraw_unfinished(folder, job, role)
                figures.update(measure_or_release(folder, job, dataset, role, reporter))
