"""Ultralytics' detection trainer, extended by a teacher, exact resume, and several processes."""

import time
from collections.abc import Mapping
from copy import copy
from typing import Any

import torch
from torch import nn
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.torch_utils import ModelEMA, unwrap_model

from distill_jobs.training import ranks
from distill_jobs.training.amp import Precision, choose_precision
from distill_jobs.training.distiller import Distiller
from distill_jobs.training.epoch_news import tell
from distill_jobs.training.lesson import Lesson
from distill_jobs.training.loop import run_epochs
from distill_jobs.training.position import Position
from distill_jobs.training.reporting import report_progress
from distill_jobs.training.resume_file import write_state
from distill_jobs.training.resume_state import put_back_state, take_state
from distill_jobs.training.splits import describe, training_split, validation_split
from distill_jobs.training.teachers.faculty import Rows, assemble
from distill_jobs.training.together import train_together
from distill_jobs.training.trackers import no_trackers
from distill_jobs.training.validator import ReleasesValidator
from distill_jobs.training.whole_files import written_whole


class LessonTrainer(DetectionTrainer):
    """Trains a detector, alone or beside a teacher.

    Args:
        lesson: Data, network and teacher.
        overrides: ultralytics' training arguments.

    Attributes:
        position: Where the training stands.
        precision: What forward passes are computed in.
        mosaic_closed: Whether mosaics have ended.
        full_accumulate: Batches an update after the warm-up.
    """

    # Ultralytics fills these in as it goes, and annotates none well. The model is a path at first.
    args: Any
    model: Any
    ema: Any
    optimizer: Any
    scheduler: Any
    validator: Any
    lf: Any
    loss: Any
    loss_names: Any
    tloss: Any
    metrics: Any
    fitness: Any
    best_fitness: Any

    def __init__(self, lesson: Lesson, overrides: dict[str, Any]) -> None:
        self._lesson = lesson
        self._boxes: Mapping[str, Rows] = {}
        with no_trackers():  # they are added here, and asked what they want as they are
            super().__init__(overrides=overrides)
        self.position = Position()
        self.precision = Precision()
        self.mosaic_closed = False
        self.full_accumulate = 1
        self.add_callback("on_train_epoch_start", _begin_epoch_with_teachers)
        report_progress(self)

    def train(self) -> None:
        """Train, whatever trackers ultralytics' settings name."""
        with no_trackers():
            super().train()

    @property
    def lesson(self) -> Lesson:
        """Data, network and teacher."""
        return self._lesson

    def get_dataset(self) -> dict[str, Any]:
        """Describe the data set."""
        return describe(self._lesson.data)

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """Build a split: the training split with teachers' boxes, that for validation square."""
        data, images = self._lesson.data, batch or int(self.args.batch)
        stride = max(int(self.student().stride.max()), 32)
        if mode != "train":
            return validation_split(data, self.args, batch=images, stride=stride)
        taught = isinstance(unwrap_model(self.model), Distiller)
        return training_split(
            data, self.args, batch=images, taught=taught, boxes=self._boxes, stride=stride
        )

    def get_validator(self) -> ReleasesValidator:
        """Build what scores an epoch: as ultralytics does, but of another class."""
        return ReleasesValidator(
            self.test_loader,
            save_dir=self.save_dir,
            args=copy(self.args),
            _callbacks=self.callbacks,
        )

    def setup_model(self) -> None:
        """Build the network and seat its teachers beside it."""
        shape, weights = self._lesson.origin.shape, self._lesson.origin.weights
        student = self.get_model(cfg=shape, weights=weights, verbose=False)
        student.args = self.args
        self.model = self._beside_teachers(student)

    def _beside_teachers(self, student: nn.Module) -> nn.Module:
        lesson = self._lesson
        if lesson.staff is None or lesson.distillation is None:
            return student
        faculty = assemble(
            lesson.staff,
            student,
            data=lesson.data,
            arguments=self.args,
            device=self.device,
            reporter=lesson.reporter,
        )
        self._boxes = faculty.boxes
        return Distiller(faculty.teachers, student, lesson.distillation)

    def set_model_attributes(self) -> None:
        """Attach classes and arguments to the student too: its head and checkpoint carry them."""
        super().set_model_attributes()
        if isinstance(self.model, Distiller):
            student = self.model.student_model
            student.nc, student.names = self.data["nc"], self.data["names"]

    def _setup_train(self) -> None:
        """Set everything up; with several processes, alike in all of them."""
        super()._setup_train()
        self._choose_precision()
        self.full_accumulate = self.accumulate
        if ranks.count() > 1:
            self._join_processes()
        if self._lesson.state is not None:
            put_back_state(self, self._lesson.state)

    def _build_train_pipeline(self) -> None:
        """Build loaders and optimizer, each process's loader for its share of a batch."""
        # Set no earlier: ultralytics would wrap the model for GPUs, whatever the device.
        self.world_size = ranks.count() if ranks.count() > 1 else self.world_size
        super()._build_train_pipeline()

    def _choose_precision(self) -> None:
        wish, side = self._lesson.precision, int(self.args.imgsz)
        precision = choose_precision(wish, self.student(), self.device, side)
        self.precision = ranks.from_first(precision)
        if self.precision.doubt:
            self._lesson.reporter.note(f"float32 throughout: {self.precision.doubt}")
        # The validator knows float16 alone.
        self.amp = self.precision.scaled
        self.scaler = torch.amp.GradScaler("cuda", enabled=self.precision.scaled)

    def _join_processes(self) -> None:
        """Make this process one of several, all beginning with the first one's weights."""
        self.model = train_together(self.model, self.trained_tensors().keys(), self.device)
        self.ema = ModelEMA(self.model)

    def _do_train(self) -> None:
        """Train from the beginning, or from where the lesson's state was taken."""
        self._setup_train()
        run_epochs(self)
        for loader in (self.train_loader, self.test_loader):
            loader.close()

    def _model_train(self) -> None:
        super()._model_train()
        if self._lesson.freeze_norms:
            for module in self.student().modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def seconds(self) -> float:
        """Return how long the training has taken, whatever processes it took."""
        return time.time() - self.train_time_start

    def student(self) -> Any:
        """Return the network that is trained, without teacher or wrapping."""
        model = unwrap_model(self.model)
        return getattr(model, "student_model", model)

    def trained_tensors(self) -> dict[str, torch.Tensor]:
        """Return all tensors of the model but the teachers', which the EMA goes without."""
        kept = self.ema.ema.state_dict().keys()
        tensors: dict[str, torch.Tensor] = unwrap_model(self.model).state_dict()
        return {name: tensor for name, tensor in tensors.items() if name in kept}

    def validate(self) -> tuple[dict[str, float] | None, float | None]:
        """Score the EMA on the validation split, each process its share of it.

        Returns:
            Metrics and fitness; None and None but in the first process.
        """
        if ranks.count() == 1:
            alone: tuple[dict[str, float] | None, float | None] = super().validate()
            return alone
        ranks.share_first(list(self.ema.ema.buffers()))
        # Ultralytics averages the losses by an operation that gloo does not have.
        self.world_size = 1
        metrics, fitness = super().validate()
        self.world_size = ranks.count()
        losses = {k: v / len(self.test_loader) for k, v in self.validator.loss.items()}
        means = ranks.mean(torch.stack([value.float() for value in losses.values()]).clone())
        if metrics is not None:
            named = dict(zip(losses, means, strict=True))
            metrics.update(self.label_loss_items(named, prefix="val"))
        return metrics, fitness

    def keep(self) -> None:
        """Write where the training stands, so that a killed one goes on exactly there."""
        self.position.seconds = self.seconds()
        state = take_state(self)
        if state is not None:
            write_state(self.save_dir, state)

    def keep_within_epoch(self) -> None:
        """Write it within an epoch, as often as the lesson asks."""
        every, batch = self._lesson.keep_every_batches, self.position.batch
        if every and batch % every == 0 and batch < len(self.train_loader):
            self.keep()

    def tell_listeners(self) -> None:
        """Tell who listens of the epoch; costs nothing where nobody does."""
        if self._lesson.listeners and ranks.leads():
            tell(self, self._lesson.listeners)

    def save_model(self) -> bool:
        """Write `last.pt` and `best.pt`: a kill leaves the old ones or the new ones.

        They hold the student alone: classes of ours would need code of ours to be unpickled.
        """
        model, averaged = self.model, self.ema.ema
        self.model = self.student()
        self.ema.ema = getattr(averaged, "student_model", averaged)
        try:
            with written_whole(self):
                return bool(super().save_model())
        finally:
            self.model, self.ema.ema = model, averaged


def _begin_epoch_with_teachers(trainer: LessonTrainer) -> None:
    model = unwrap_model(trainer.model)
    if isinstance(model, Distiller):
        model.begin_epoch(trainer.epoch, trainer.epochs)
