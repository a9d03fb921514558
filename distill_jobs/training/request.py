"""What is asked of one training."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from distill_jobs.data.dataset import Dataset
from distill_jobs.recipe.distillation import Distillation
from distill_jobs.recipe.networks import Student, Teacher
from distill_jobs.recipe.teachers import FurtherTeacher, Voice
from distill_jobs.recipe.training import Training
from distill_jobs.training.listening import EpochListener


@dataclass(frozen=True)
class TrainRequest:
    """One training.

    Attributes:
        title: Of the progress bar.
        network: What is trained.
        training: How.
        data: Staged data set.
        image_size: Side of the square input, pixels.
        seed: Of everything random.
        folder: For ultralytics' files: `weights/last.pt`, `results.csv`...
        log: What ultralytics says.
        output: The finished checkpoint.
        teacher: Checkpoint of the lead teacher, or None.
        distillation: Given with a teacher.
        voice: How far the lead is listened to.
        further: Teachers besides the lead.
        answers: Folder in which teachers' answers are kept; beside `folder` when None.
        listeners: Told of every epoch.
    """

    title: str
    network: Teacher | Student
    training: Training
    data: Dataset
    image_size: int
    seed: int
    folder: Path
    log: Path
    output: Path
    teacher: Path | None = None
    distillation: Distillation | None = None
    voice: Voice = field(default_factory=Voice)
    further: tuple[FurtherTeacher, ...] = ()
    answers: Path | None = None
    listeners: Sequence[EpochListener] = ()
