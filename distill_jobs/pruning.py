"""A job's pruning step: the student is cut from its weights before it is trained."""

from typing import TYPE_CHECKING

import numpy as np

from distill_jobs.checkpoints import load_detector
from distill_jobs.data.dataset import Dataset
from distill_jobs.fitting import fit
from distill_jobs.job import Job
from distill_jobs.progress import Reporter
from distill_jobs.recipe.networks import Student
from distill_jobs.run_folder import RunFolder
from handlers.images import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import torch

_SETTLING_IMAGES, _SETTLING_BATCH = 128, 16


def cut_student(folder: RunFolder, job: Job, student: Student, reporter: Reporter) -> Student:
    """Return the network to train: the job's own, or what was cut from it.

    The cut is made once and kept in the run folder: a latency measured anew could choose another
    width after a kill, and the half-trained weights would not fit.

    Args:
        folder: Of the run; its data is there.
        job: The run's job.
        student: Of the job.
        reporter: Told of progress.

    Raises:
        JobError: The weights cannot be cut, or not that far.
    """
    if student.prune is None or student.weights is None:
        return student
    file = folder.path / "student-cut.pt"
    if folder.figures("prune") is None:
        from distill_jobs.training.prune import prune, save_as_weights  # noqa: PLC0415  # heavy
        from distill_jobs.training.settling import settle  # noqa: PLC0415  # likewise

        with folder.step("prune") as figures:
            reporter.stage("prune the student", 1)
            data = Dataset.load(folder.data / "data.yaml")
            cut = prune(
                load_detector(student.weights),
                student.prune,
                names=data.class_names,
                image_size=job.image_size,
            )
            images = [sample.image for sample in data.split("train")]
            settle(cut.model, settling_batches(images, job.image_size))
            save_as_weights(cut.model, file)
            figures.update(
                keep=cut.keep, parameters=cut.parameters, latency_ratio=cut.latency_ratio
            )
            reporter.advance(1)
        told = f", {cut.latency_ratio:.2f} of the time" if cut.latency_ratio else ""
        reporter.note(
            f"the student is cut to {cut.keep:.0%} of its channels: {cut.parameters:,} parameters"
            f"{told}"
        )
    return student.model_copy(update={"weights": file, "prune": None})


def cut_for_all(folder: RunFolder, job: Job, reporter: Reporter) -> None:
    """Cut the student of a sweep once for all trials, where none of them changes how.

    A latency measured anew in each could choose another width, and trials would differ in it.

    Args:
        folder: Of the sweep; its data is there.
        job: The swept job.
        reporter: Told of progress.

    Raises:
        JobError: As `cut_student`.
    """
    swept = {key.partition(".")[0] for key in (job.sweep.space if job.sweep else ())}
    if job.student is not None and not swept & {"student", "image_size"}:
        cut_student(folder, job, job.student, reporter)


def settling_batches(images: "Sequence[Path]", image_size: int) -> "Iterator[torch.Tensor]":
    """Yield what a cut network's batch norms are measured on, fitted as the student will see it.

    Args:
        images: Of the training split; 128 are read, spread evenly: neighbours often show one scene.
        image_size: Side of the square input, pixels.

    Yields:
        float32 [N, 3, image_size, image_size], RGB, 0 to 1.
    """
    import torch  # noqa: PLC0415  # heavy

    count = min(len(images), _SETTLING_IMAGES)
    files = [images[place * len(images) // count] for place in range(count)]
    for start in range(0, len(files), _SETTLING_BATCH):
        frames = [decode(file.read_bytes()) for file in files[start : start + _SETTLING_BATCH]]
        yield torch.from_numpy(np.stack([fit(frame, image_size)[0] for frame in frames]))
