"""A student with its frozen teacher beside it, as ultralytics' trainer wants to see them."""

from typing import Any

import torch
from torch import nn
from ultralytics.nn.distill_model import DistillationModel

from distill_jobs.recipe.distillation import Losses
from distill_jobs.training.heads import check_heads, read_head
from distill_jobs.training.losses.boxes import giou_box_distillation
from distill_jobs.training.losses.classes import binary_class_distillation

LOSS_NAMES = ("class_distill", "box_distill")


class Distiller(DistillationModel):
    """Adds `α Σ wᵢ Lᵢ` to the student's own loss.

    Ultralytics' class brings what its trainer, its EMA and its checkpoints know how to handle (the
    teacher stays frozen and out of every checkpoint); this one replaces what is learnt from the
    teacher: responses of the head instead of features of the neck.

    Checkpoints of an unfinished training (`last.pt`) name this class by its import path.

    Args:
        teacher: Detector, float32; frozen here.
        student: Detector to be trained, with the same strides and classes.
        losses: Weights wᵢ.

    Attributes:
        alpha: α, set at the start of each epoch; 0 spares the teacher's forward pass.

    Raises:
        HeadsDiffer: The two heads cannot be compared.
    """

    def __init__(self, teacher: nn.Module, student: nn.Module, losses: Losses) -> None:
        check_heads(teacher, student)
        super().__init__(teacher_model=teacher, student_model=student)
        self._drop_feature_distillation()
        self.losses = losses
        self.alpha = 0.0

    def loss(
        self, batch: dict[str, torch.Tensor], preds: Any = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the student's loss with the teacher's share appended.

        Args:
            batch: Of the data loader: `img` float [N, 3, H, W], 0 to 1, and the labels.
            preds: The student's predictions, given in validation.

        Returns:
            float [5], box, class, DFL, class distillation, box distillation, each times N; and the
            same values by name, detached and per image. In validation the last two are 0, so that
            both have one shape.
        """
        images = batch["img"]
        student: Any = self.student_model
        if preds is None:
            preds = student(images)
        task_loss, items = student.loss(batch, preds)
        if self.training and self.alpha > 0:
            shares = self._shares(images, preds)
        else:
            shares = torch.zeros(len(LOSS_NAMES), device=images.device)
        items = {**items, **dict(zip(LOSS_NAMES, shares.detach(), strict=True))}
        return torch.cat((task_loss, shares * images.shape[0])), items

    def _shares(self, images: torch.Tensor, preds: Any) -> torch.Tensor:
        """Return α wᵢ Lᵢ, float [2]."""
        with torch.no_grad():
            taught = read_head(self.teacher_model, self.teacher_model(images))
        learnt = read_head(self.student_model, preds)
        sure = taught.logits.sigmoid().amax(dim=1)
        shares = (
            self.losses.classes * binary_class_distillation(learnt.logits, taught.logits),
            self.losses.box
            * giou_box_distillation(learnt.boxes_xyxy_px, taught.boxes_xyxy_px, sure),
        )
        return self.alpha * torch.stack(shares)

    def _drop_feature_distillation(self) -> None:
        """Leave nothing of the parent's feature loss: no hooks, no projectors to optimise."""
        self._remove_feature_hooks()
        self.feats_idx: list[int] = []
        self.teacher_feats_idx: list[int] = []
        self.projector = nn.ModuleList()
