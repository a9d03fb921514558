"""The job file: YAML in, one frozen model out; every error names the file, the line and the key."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from distill_jobs.reading import read
from distill_jobs.recipe.compression import FineTuning
from distill_jobs.recipe.data import Data
from distill_jobs.recipe.distillation import Distillation
from distill_jobs.recipe.networks import Student, Teacher
from distill_jobs.recipe.release import DEFAULT_EXPORTS, Archive, Export, Gate, Licences
from distill_jobs.recipe.section import ReleaseName, Section
from distill_jobs.recipe.sweep import Sweep
from distill_jobs.recipe.teachers import FurtherTeacher
from distill_jobs.recipe.thresholds import Thresholds
from distill_jobs.recipe.training import Training


class Job(Section):
    """One job: data, teacher, student, and what is released.

    Attributes:
        name: Of the job and its run folder.
        version: Of the archives, "1.0".
        image_size: Side of the square that the networks are trained on, pixels; the longer side of
            a frame that the archive is asked about.
        further_teachers: Learnt from beside the lead, `teacher:`; neither trained nor measured.
        student: None trains the teacher alone.
        training: Of the student.
        distillation: None trains the student without its teacher.
        qat: How INT8 is fine-tuned where it loses more than the gate allows; None leaves it out.
        keep_unmeasured: Whether exports that this machine cannot measure (FP16 without a GPU) are
            written into the run folder; no card lists them.
        rectangular: Whether archives fit a frame into a rectangle of whole strides instead of the
            square.
        archive: None ends the job after training.
        thresholds: How the operating thresholds are chosen.
        sweep: What `understudy job sweep` may change; other commands pass it by.
    """

    name: ReleaseName
    version: str = Field(default="1.0", pattern=r"^[0-9]+(\.[0-9]+){1,2}$")
    task: Literal["detection"] = "detection"
    seed: int = Field(default=0, ge=0, le=2**31)
    image_size: int = Field(ge=64, le=1280, multiple_of=32)
    data: Data
    teacher: Teacher
    further_teachers: tuple[FurtherTeacher, ...] = ()
    student: Student | None = None
    training: Training | None = None
    distillation: Distillation | None = None
    exports: tuple[Export, ...] = Field(default=DEFAULT_EXPORTS, min_length=1)
    thresholds: Thresholds = Thresholds()
    qat: FineTuning | None = None
    keep_unmeasured: bool = False
    rectangular: bool = True
    gate: Gate = Gate()
    licences: Licences
    archive: Archive | None = None
    sweep: Sweep | None = None

    @classmethod
    def load(cls, file: Path, *, base: Path | None = None) -> "Job":
        """Read and check a job file.

        Args:
            file: The YAML file.
            base: Where its relative paths start; its own folder when None.

        Returns:
            The job, every path absolute and every `${VARIABLE}` filled in.

        Raises:
            JobFileInvalid: The first fault: its line, its key, and what to do.
        """
        return read(cls, Path(file), base=base)

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        if (self.student is None) != (self.training is None):
            raise ValueError("`student:` and `training:` go together: give both, or neither")
        if self.distillation is not None and self.training is not None:
            self.distillation.schedule.check_fits(self.training.epochs)
        if self.further_teachers and self.distillation is None:
            raise ValueError("`further_teachers:` need `distillation:`, or nobody listens to them")
        if self.student is None and (self.distillation or self.archive):
            raise ValueError("`distillation:` and `archive:` need a `student:`")
        return self
