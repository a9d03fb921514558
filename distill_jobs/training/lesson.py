"""What one training is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distill_jobs.data.dataset import Dataset
from distill_jobs.progress import Reporter
from distill_jobs.recipe.distillation import Distillation
from distill_jobs.recipe.training import MixedPrecision
from distill_jobs.training.listening import EpochListener
from distill_jobs.training.networks import Origin
from distill_jobs.training.teachers.faculty import Staff


@dataclass(frozen=True)
class Lesson:
    """What ultralytics' arguments cannot say.

    Attributes:
        title: Of the progress bar.
        data: The data set, staged where label caches may be written.
        origin: Of the network to be trained.
        staff: Its teachers, or None to train alone.
        distillation: Given with a staff.
        reporter: Told of every batch and epoch.
        listeners: Told of every epoch.
        state: Where a killed training was, or None to begin.
        keep_every_batches: How often that is kept within an epoch; 0: at its end alone.
        precision: Wish for the forward passes.
        freeze_norms: Whether batch statistics stay as they are.
        workers: Processes that make batches; 0: this one.
    """

    title: str
    data: Dataset
    origin: Origin
    staff: Staff | None
    distillation: Distillation | None
    reporter: Reporter
    listeners: Sequence[EpochListener] = ()
    state: dict[str, Any] | None = None
    keep_every_batches: int = 0
    precision: MixedPrecision = "off"
    freeze_norms: bool = False
    workers: int = 0
