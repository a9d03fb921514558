"""What is distilled again: a job, or a finished run of it with its teacher."""

from dataclasses import dataclass
from pathlib import Path

from distill_jobs.errors import JobError
from distill_jobs.job import Job
from distill_jobs.recipe.data import Data
from distill_jobs.run_folder import RunFolder


@dataclass(frozen=True)
class Origin:
    """What is distilled again.

    Attributes:
        job: The job.
        teacher: Finished teacher of its last run, used as it is; None trains it as the job says.
        parent_lock: `data.lock` of its last run, or None.
    """

    job: Job
    teacher: Path | None = None
    parent_lock: Path | None = None


def read_origin(place: Path) -> Origin:
    """Read what is distilled again.

    Args:
        place: A job file; or the folder of a finished run of it, whose teacher is used as it is
            and whose `data.lock` becomes the parent.

    Raises:
        JobError: Neither, or the job has no student to distil, or a teacher that cannot answer
            about frames it never saw.
    """
    origin = _from_run(RunFolder.open(place)) if place.is_dir() else Origin(Job.load(place))
    if origin.job.student is None or origin.job.distillation is None:
        raise JobError(
            f"{place}: redistil needs a job with `student:` and `distillation:`: harvested frames "
            "have no labels, the teacher explains them"
        )
    _refuse_stored_detections(place, origin.job)
    return origin


def _refuse_stored_detections(place: Path, job: Job) -> None:
    """Refuse before a harvest is used up: a file of detections says nothing of new frames."""
    for number, teacher in enumerate(job.further_teachers):
        if teacher.detections is not None:
            raise JobError(
                f"{place}: further_teachers.{number}.detections: {teacher.detections} holds no "
                "record of harvested frames, which the teachers alone explain: name that "
                "detector's file instead (`weights:`, `onnx:` or `torchscript:`), or leave it out"
            )


def _from_run(folder: RunFolder) -> Origin:
    if (folder.path.parent / "ended.json").exists():
        raise JobError(
            f"{folder.path}: is the run of a redistillation, whose harvested frames were removed "
            "when it ended: give the job file or the run that it came from"
        )
    job = folder.job()
    teacher = folder.checkpoint("teacher")
    if folder.figures("teacher") is None or not teacher.exists():
        raise JobError(f"{folder.path}: its teacher is not finished; give the job file instead")
    if job.data.scenes is not None:
        job = job.model_copy(update={"data": Data(path=folder.data / "data.yaml")})
    return Origin(job, teacher, folder.data_lock)
