"""A student with its frozen teachers beside it, as ultralytics' trainer wants to see them."""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import nn
from ultralytics.nn.distill_model import DistillationModel
from ultralytics.utils.torch_utils import copy_attr

from distill_jobs.errors import HeadsDiffer
from distill_jobs.recipe.distillation import Distillation
from distill_jobs.training.answers import BoxesAnswer, TeacherModel
from distill_jobs.training.heads import check_distributions, check_strides, head_shape, read
from distill_jobs.training.lessons import (
    DENSE_ONLY,
    KEYS,
    OF_FEATURES,
    losses_of_boxes,
    losses_of_features,
    losses_of_head,
    weights_by_name,
)
from distill_jobs.training.projectors import build_projectors
from distill_jobs.training.schedule import Moment, moment
from distill_jobs.training.task_loss import task_loss


class Distiller(DistillationModel):
    """The student's total loss, `L = h · L_task + α · Σ_k v_k Σᵢ wᵢ Lᵢ`, over teachers k, losses i.

    It is one of ultralytics' distillation models because its trainer and EMA know those; nothing of
    that class's own distillation is used.

    Teachers are held, but are no submodules: they are never trained, moved, averaged or copied with
    it. A copy (the EMA's) has none and gives the student's loss alone.

    Args:
        teachers: At least one; their weights, divided by their sum, are v_k.
        student: Detector to be trained.
        distillation: Of the job file: weights wᵢ and schedule.

    Attributes:
        moment: h, α and temperature of the epoch; α is 0 before the first `begin_epoch`.
        projectors: Trained beside the student by the same optimizer, and thrown away with the
            teachers.

    Raises:
        HeadsDiffer: A teacher cannot be compared with the student in the way that was asked for.
    """

    def __init__(
        self, teachers: Sequence[TeacherModel], student: nn.Module, distillation: Distillation
    ) -> None:
        # Not the parent's: it would run both models, hook them, and build projectors of its own.
        nn.Module.__init__(self)
        self._leave_the_parent_nothing_to_do()
        self.student_model = student
        copy_attr(self, student)
        self._teachers = tuple(teachers)
        self._shape = head_shape(student)
        self._weights = weights_by_name(distillation.losses)
        self._distillation = distillation
        self.moment = Moment()
        self._check_teachers()
        self.projectors = self._build_projectors()

    @property
    def teachers(self) -> tuple[TeacherModel, ...]:
        """The teachers; none in a copy."""
        return self._teachers

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Names of the distillation losses, in the order in which `loss` appends them."""
        return tuple(self._weights)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Set what an epoch's loss is made of.

        Args:
            epoch: 0-based.
            epochs: How many there are.
        """
        self.moment = moment(epoch, epochs, self._distillation)

    def loss(
        self, batch: dict[str, torch.Tensor], preds: Any = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the student's loss with the teachers' shares appended.

        Args:
            batch: Of the data loader: `img` float [N, 3, H, W], 0 to 1, the labels, and, where some
                images have none, `labelled`, bool [N].
            preds: The student's predictions, given in validation.

        Returns:
            float [3 + L], box, class and DFL (or L1), times h in training, and a share for each of
            `loss_names`, all times N; and by name, detached and per image, the first three without
            h, and the shares. In validation the shares are 0, so that both have one shape.
        """
        student: Any = self.student_model
        if preds is None:
            preds = student(batch["img"])
        task, items = task_loss(student, batch, preds)
        if self.training:
            task = task * self.moment.task_weight
        shares = torch.zeros(len(self._weights), device=task.device)
        if self.training and self.moment.alpha > 0 and self._teachers:
            shares = self._shares(batch, preds)
        items = {**items, **dict(zip(self._weights, shares.detach(), strict=True))}
        return torch.cat((task, shares * batch["img"].shape[0])), items

    def _shares(self, batch: dict[str, torch.Tensor], preds: Any) -> torch.Tensor:
        """Return α wᵢ Σ_k v_k Lᵢ, float [L]."""
        total = torch.zeros(len(self._weights), device=batch["img"].device)
        everything = sum(teacher.weight for teacher in self._teachers)
        for index, teacher in enumerate(self._teachers):
            losses = self._losses(index, batch, preds)
            nothing = total.new_zeros(())
            stacked = [w * losses.get(name, nothing) for name, w in self._weights.items()]
            if stacked:
                total = total + teacher.weight / everything * torch.stack(stacked)
        return self.moment.alpha * total

    def _losses(
        self, index: int, batch: dict[str, torch.Tensor], preds: Any
    ) -> dict[str, torch.Tensor]:
        """Return Lᵢ by name, of one teacher."""
        with torch.no_grad():
            answer = self._teachers[index].answer(batch)
        # Sums over thousands of anchors do not fit float16.
        with torch.autocast(batch["img"].device.type, enabled=False):
            learnt = read(self.student_model, preds)
            if isinstance(answer, BoxesAnswer):
                return losses_of_boxes(learnt, answer, self._shape, self._weights)
            of_features = losses_of_features(
                learnt,
                answer,
                self._weights,
                projectors=self.projectors,
                teacher=index,
                deepest_only=self.moment.deepest_only,
                channel_temperature=self._distillation.channel_temperature,
            )
            temperature = self.moment.temperature
            return {**losses_of_head(learnt, answer, self._weights, temperature), **of_features}

    def _check_teachers(self) -> None:
        dense = [teacher.shape for teacher in self._teachers if teacher.shape is not None]
        for shape in dense:
            check_strides(shape, self._shape)
            if "dfl_distill" in self._weights:
                check_distributions(shape, self._shape)
            if not shape.widths and self._asks_for(OF_FEATURES):
                raise HeadsDiffer(
                    f"distillation.losses: {self._asks_for(OF_FEATURES)} compare features, which a "
                    "teacher's kept answers lack: set them to 0, or take `cache:` off the teacher"
                )
        if not dense and self._asks_for(DENSE_ONLY):
            raise HeadsDiffer(
                f"distillation.losses: {self._asks_for(DENSE_ONLY)} need a teacher that answers at "
                "the student's own anchors, and this job's give finished boxes only: set them to 0"
            )

    def _asks_for(self, names: Collection[str]) -> str:
        """Return which of these losses the job asks for, by their keys in the file."""
        return ", ".join(KEYS[name] for name in names if name in self._weights)

    def _build_projectors(self) -> nn.ModuleDict:
        if not self._asks_for(OF_FEATURES):
            return nn.ModuleDict()
        shapes = [teacher.shape for teacher in self._teachers]
        device = next(self.student_model.parameters()).device
        return build_projectors(shapes, self._shape).to(device)

    def _leave_the_parent_nothing_to_do(self) -> None:
        self.teacher_model = None
        self.feats_idx: list[int] = []
        self.teacher_feats_idx: list[int] = []
        self._teacher_feats: dict[int, torch.Tensor] = {}
        self._student_feats: dict[int, torch.Tensor] = {}
        self._teacher_hooks: list[Any] = []
        self._student_hooks: list[Any] = []

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy keeps: everything but the teachers."""
        state: dict[str, Any] = super().__getstate__()
        state["_teachers"] = ()
        return state
