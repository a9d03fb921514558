"""A run's first step: its data drawn, or taken in, staged and locked."""

from typing import Any

from distill_jobs.data import scenes
from distill_jobs.data.dataset import Dataset
from distill_jobs.data.faults import skipped_images, skipped_rows
from distill_jobs.data.intake import refuse_duplicates, refuse_faulty, take_in
from distill_jobs.data.lineage import check_parent, grown_from_parent
from distill_jobs.data.lock import check_lock, read_lock
from distill_jobs.data.lock_writer import write_intake_lock, write_lock
from distill_jobs.data.notes import notes, write_reports
from distill_jobs.data.staging import stage, write_description
from distill_jobs.data.unlabelled import UNLABELLED
from distill_jobs.heirs import refuse_heirs
from distill_jobs.job import Job
from distill_jobs.progress import Reporter
from distill_jobs.recipe.data import Scenes
from distill_jobs.run_folder import RunFolder


def data_step(folder: RunFolder, job: Job, reporter: Reporter) -> Dataset:
    """Draw or take in the data, once; later calls check that it is still the same.

    Args:
        folder: Of the run: gets `data/`, `data.lock`, `data_faults.json` and, where there are
            any, `near_duplicates.jpg`.
        job: The run's job.
        reporter: Told of progress, and of what was skipped.

    Returns:
        The run's own data set, held-out split included, in the classes of the job.

    Raises:
        DataSetInvalid: The data does not fit, or changed since it was locked.
    """
    if folder.figures("data") is not None:
        return _reopen(folder, job)
    with folder.step("data") as figures:
        if job.data.scenes is not None:
            dataset = _draw(folder, job.data.scenes, job.seed, reporter)
            write_lock(folder.data_lock, dataset)
        else:
            dataset = _stage(folder, job, figures, reporter)
        figures.update(_counts(dataset))
        figures["classes"] = list(dataset.class_names)
    return dataset


def _stage(folder: RunFolder, job: Job, figures: dict[str, Any], reporter: Reporter) -> Dataset:
    data = job.data
    intake = take_in(data, reporter)
    write_reports(folder.path, intake)
    growth = grown_from_parent(intake, data)
    for line in notes(intake, growth):
        reporter.note(line)
    refuse_faulty(intake, data)
    refuse_duplicates(intake, data)
    refuse_heirs(job, intake, growth)
    dataset = stage(intake, folder.data)
    write_intake_lock(folder.data_lock, intake, data, growth)
    figures["skipped_images"] = skipped_images(intake.faults)
    figures["skipped_label_rows"] = skipped_rows(intake.faults)
    figures["near_duplicates"] = intake.near.count
    return dataset


def _reopen(folder: RunFolder, job: Job) -> Dataset:
    if job.data.path is None:
        dataset = Dataset.load(folder.data / "data.yaml")
        check_lock(folder.data_lock, dataset)
        return dataset
    source = Dataset.load(job.data.path)
    check_lock(folder.data_lock, source)
    if job.data.parent is not None:
        check_parent(folder.data_lock, job.data.parent)
    if read_lock(folder.data_lock).schema_version == 1:
        return source  # such runs staged no held-out split
    return Dataset.load(folder.data / "data.yaml")


def _draw(folder: RunFolder, wanted: Scenes, seed: int, reporter: Reporter) -> Dataset:
    counts = {"train": wanted.train, "val": wanted.val, "test": wanted.test}
    reporter.stage("draw scenes", sum(counts.values()) + wanted.unlabelled)
    folder.clear(folder.data)
    for split, count in counts.items():
        for _ in scenes.write_split(folder.data, split, count, wanted.size, seed):
            reporter.advance()
    unlabelled = []
    for image in scenes.write_unlabelled(folder.data, wanted.unlabelled, wanted.size, seed):
        unlabelled.append(image)
        reporter.advance()
    return write_description(folder.data, scenes.CLASS_NAMES, tuple(counts), unlabelled=unlabelled)


def _counts(dataset: Dataset) -> dict[str, int]:
    counts = {
        split: sum(sample.labelled for sample in samples)
        for split, samples in dataset.splits.items()
    }
    unlabelled = sum(not one.labelled for one in dataset.splits.get("train", ()))
    return {**counts, UNLABELLED: unlabelled} if unlabelled else counts
