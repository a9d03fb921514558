"""A run's first step: its data drawn, or taken in, staged and locked."""

from typing import Any

from distill_jobs.data import scenes
from distill_jobs.data.dataset import Dataset
from distill_jobs.data.faults import skipped_images, skipped_rows, write_faults
from distill_jobs.data.intake import Intake, refuse_duplicates, refuse_faulty, take_in
from distill_jobs.data.lineage import Growth, check_parent, grown_from
from distill_jobs.data.lock import check_lock, read_lock, root_of
from distill_jobs.data.lock_writer import write_intake_lock, write_lock
from distill_jobs.data.pair_sheet import write_pair_sheet
from distill_jobs.data.staging import stage, write_description
from distill_jobs.data.unlabelled import UNLABELLED
from distill_jobs.job import Job
from distill_jobs.progress import Reporter
from distill_jobs.recipe.data import Data, Scenes
from distill_jobs.run_folder import RunFolder

FAULTS_FILE = "data_faults.json"
PAIRS_FILE = "near_duplicates.jpg"


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
            dataset = _stage(folder, job.data, figures, reporter)
        figures.update(_counts(dataset))
        figures["classes"] = list(dataset.class_names)
    return dataset


def notes(intake: Intake, growth: Growth | None) -> list[str]:
    """Return what people should know of an intake, a line each of at most 78 characters."""
    lines = []
    images, rows = skipped_images(intake.faults), skipped_rows(intake.faults)
    if images or rows:
        of = f"{images} of {intake.images} images and {rows} label rows"
        lines.append(f"{of} skipped: see {FAULTS_FILE}")
    if intake.dropped:
        lines.append(f"{intake.dropped} objects of classes that the job does not name dropped")
    if intake.near.count:
        lines.append(f"{intake.near.count} near-duplicate pairs across splits: see {PAIRS_FILE}")
    if intake.left_out:
        lines.append(f"{len(intake.left_out)} unlabelled images left out: data.lock says why")
    if growth is not None and growth.now_trained_on:
        moved = len(growth.now_trained_on)
        lines.append(f"{moved} images that data.parent measured on are trained on now")
    return lines


def grown(intake: Intake, data: Data) -> Growth | None:
    """Compare an intake with its parent's lock; None where the job names none.

    Raises:
        DataSetInvalid: The parent is missing, or no lock.
    """
    if data.parent is None:
        return None
    return grown_from(data.parent, intake.pieces, root_of(intake.source))


def _stage(folder: RunFolder, data: Data, figures: dict[str, Any], reporter: Reporter) -> Dataset:
    intake = take_in(data, reporter)
    write_faults(folder.path / FAULTS_FILE, intake.faults, images=intake.images)
    if intake.near.closest:
        write_pair_sheet(folder.path / PAIRS_FILE, intake.near.closest)
    growth = grown(intake, data)
    for line in notes(intake, growth):
        reporter.note(line)
    refuse_faulty(intake, data)
    refuse_duplicates(intake, data)
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
