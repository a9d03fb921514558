"""Ultralytics' detection trainer, extended by a teacher, a progress report and safe checkpoints."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.nn.tasks import load_checkpoint
from ultralytics.utils.torch_utils import unwrap_model

from distill_jobs.data.dataset import Dataset
from distill_jobs.progress import Reporter
from distill_jobs.recipe.distillation import Distillation
from distill_jobs.training.distiller import Distiller
from distill_jobs.training.networks import Origin
from distill_jobs.training.schedule import teacher_weight


@dataclass(frozen=True)
class Lesson:
    """What ultralytics' arguments cannot say.

    Attributes:
        title: Of the progress bar.
        data: The data set, staged where label caches may be written.
        origin: Of the network to be trained.
        teacher: Frozen detector, or None to train alone.
        distillation: Given with a teacher.
        reporter: Told of every batch and epoch.
    """

    title: str
    data: Dataset
    origin: Origin
    teacher: nn.Module | None
    distillation: Distillation | None
    reporter: Reporter


class LessonTrainer(DetectionTrainer):
    """Trains a detector, alone or beside a teacher.

    Args:
        lesson: Data, network and teacher.
        overrides: ultralytics' training arguments.
    """

    # A path before setup_model(), a network after it.
    model: Any

    def __init__(self, lesson: Lesson, overrides: dict[str, Any]) -> None:
        self._lesson = lesson
        super().__init__(overrides=overrides)
        self.add_callback("on_train_start", _announce)
        self.add_callback("on_train_epoch_start", _set_teacher_weight)
        self.add_callback("on_train_batch_end", _advance)
        self.add_callback("on_fit_epoch_end", _note_epoch)

    @property
    def lesson(self) -> Lesson:
        """Data, network and teacher."""
        return self._lesson

    def get_dataset(self) -> dict[str, Any]:
        """Describe the data set as ultralytics' own check would, which looks for fonts online."""
        data = self._lesson.data
        root = data.path.parent
        names = dict(enumerate(data.class_names))
        splits = {split: str(root / "images" / split) for split in ("train", "val")}
        return {
            **splits,
            "path": root,
            "yaml_file": str(data.path),
            "names": names,
            "nc": len(names),
            "channels": 3,
        }

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """Build a split as ultralytics does, without the progress bars that it cannot turn off."""
        with contextlib.redirect_stdout(io.StringIO()):
            return super().build_dataset(img_path, mode, batch)

    def setup_model(self) -> dict[str, Any] | None:
        """Build the network, or take it up again from `last.pt`, and seat the teacher beside it.

        Returns:
            The checkpoint to resume from, or None.
        """
        checkpoint = None
        shape, weights = self._lesson.origin.shape, self._lesson.origin.weights
        if self.resume:
            saved, checkpoint = load_checkpoint(self.model)
            weights = getattr(saved, "student_model", saved)
        student = self.get_model(cfg=shape, weights=weights, verbose=False)
        student.args = self.args
        self.model = self._beside_teacher(student)
        return checkpoint

    def _beside_teacher(self, student: nn.Module) -> nn.Module:
        lesson = self._lesson
        if lesson.teacher is None or lesson.distillation is None:
            return student
        return Distiller(lesson.teacher, student, lesson.distillation.losses)

    def set_model_attributes(self) -> None:
        """Attach classes and arguments to the student too: its head and checkpoint carry them."""
        super().set_model_attributes()
        if isinstance(self.model, Distiller):
            student = self.model.student_model
            student.nc, student.names = self.data["nc"], self.data["names"]

    def save_model(self) -> bool:
        """Write `last.pt` and `best.pt` so that a kill leaves the old one or the new one."""
        last, best = self.last, self.best
        self.last, self.best = _half_written(last), _half_written(best)
        try:
            saved = bool(super().save_model())
            # The best first: a kill in between repeats the epoch. The other way round `last.pt`
            # would promise a best that was never kept.
            for path in (best, last):
                if _half_written(path).exists():
                    _half_written(path).replace(path)
        finally:
            self.last, self.best = last, best
        return saved

    def final_eval(self) -> None:
        """Leave the checkpoints as they are: the job strips a copy, and the release measures it.

        Ultralytics would strip them in place, where a kill could leave half a file.
        """


def _half_written(path: Path) -> Path:
    return path.with_suffix(".writing")


def _announce(trainer: LessonTrainer) -> None:
    batches = len(trainer.train_loader)
    trainer.lesson.reporter.stage(trainer.lesson.title, trainer.epochs * batches)
    trainer.lesson.reporter.advance(trainer.start_epoch * batches)


def _set_teacher_weight(trainer: LessonTrainer) -> None:
    model, distillation = unwrap_model(trainer.model), trainer.lesson.distillation
    if isinstance(model, Distiller) and distillation is not None:
        model.alpha = teacher_weight(trainer.epoch, trainer.epochs, distillation.schedule)


def _advance(trainer: LessonTrainer) -> None:
    trainer.lesson.reporter.advance()


def _note_epoch(trainer: LessonTrainer) -> None:
    metrics: dict[str, float] = trainer.metrics or {}
    map50 = metrics.get("metrics/mAP50(B)")
    if map50 is not None and (trainer.epoch + 1 == trainer.epochs or trainer.epoch % 5 == 4):
        text = f"epoch {trainer.epoch + 1}/{trainer.epochs}: validation mAP50 {map50:.3f}"
        trainer.lesson.reporter.note(text)
