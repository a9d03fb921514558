"""What is measured of a run before it is diagnosed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from distill_jobs.data.dataset import Dataset
from distill_jobs.data.spread import spread
from distill_jobs.errors import JobError
from distill_jobs.job import Job
from distill_jobs.progress import Reporter
from distill_jobs.release.evaluate import Quality, match_all, quality_of
from distill_jobs.results import ModelResult, read_model
from distill_jobs.run_folder import RunFolder
from distill_jobs.study.looks import look
from distill_jobs.tracking.curves import Curves, read_curves
from handlers.frames import Detections

Role = Literal["teacher", "student"]

# What an operating threshold would let through, and what leaves nothing soft to learn from.
_CONFIDENT, _HARD = 0.25, 0.95


@dataclass(frozen=True)
class Symptoms:
    """A run's figures; None where something was not done.

    Attributes:
        job: Of the run.
        teacher: The model.
        student: The model.
        quality: By role and split ("teacher", "train"): on at most so many images of train and
            validation, as they are, without augmentation.
        hard_share: How many of the teacher's detections of at least 0.25 on validation have a
            score of at least 0.95, 0 to 1; None without any.
        curves: Of the student's training.
        skipped_images: Of the data set, because they were broken.
        images: How many images the data set had.
    """

    job: Job
    teacher: ModelResult
    student: ModelResult
    quality: dict[tuple[str, str], Quality] = field(default_factory=dict)
    hard_share: float | None = None
    curves: Curves | None = None
    skipped_images: int = 0
    images: int = 0


def measure(folder: RunFolder, most_images: int, reporter: Reporter) -> Symptoms:
    """Ask both models of a run about images of train and validation.

    The test split is left alone: a diagnosis leads to another training, and what was looked at then
    judges no more.

    Args:
        folder: Of the run; its student must be trained.
        most_images: Of each split, spread evenly over it.
        reporter: Told of progress.

    Raises:
        JobError: The student is not finished.
    """
    if folder.kind == "sweep":
        trials = folder.path / "trials"
        raise JobError(f"{folder.path} is a sweep: diagnose one of its trials, {trials}/NUMBER")
    teacher, student = read_model(folder, "teacher"), read_model(folder, "student")
    if teacher is None or student is None:
        raise JobError(
            f"{folder.path}: diagnose needs a trained teacher and student; go on with "
            f"`understudy job resume {folder.path}`"
        )
    dataset = Dataset.load(folder.data / "data.yaml")
    quality: dict[tuple[str, str], Quality] = {}
    hard_share = None
    for split in ("train", "val"):
        samples = spread([one for one in dataset.split(split) if one.labelled], most_images)
        roles: tuple[Role, ...] = ("teacher", "student")
        for role in roles:
            answers = look(folder, role, samples, reporter)
            quality[role, split] = quality_of(match_all(answers, samples), dataset.class_names)
            if (role, split) == ("teacher", "val"):
                hard_share = _hard_share(answers)
    skipped, images = _faults(folder)
    return Symptoms(
        job=folder.job(),
        teacher=teacher,
        student=student,
        quality=quality,
        hard_share=hard_share,
        curves=read_curves(folder.training("student")),
        skipped_images=skipped,
        images=images,
    )


def _hard_share(answers: Sequence[Detections]) -> float | None:
    scores = np.concatenate([one.scores for one in answers] or [np.zeros(0, np.float32)])
    confident = scores[scores >= _CONFIDENT]
    return float((confident >= _HARD).mean()) if confident.size else None


def _faults(folder: RunFolder) -> tuple[int, int]:
    path = folder.path / "data_faults.json"
    if not path.is_file():
        return 0, 0
    content = json.loads(path.read_text(encoding="utf-8"))
    return int(content["skipped_images"]), int(content["images"])
