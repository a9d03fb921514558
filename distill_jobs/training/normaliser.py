"""One divisor for all processes: the sum of target scores that ultralytics' losses divide by.

Ultralytics divides each process's loss by the target scores of its own images, so two processes
weigh an image with many objects otherwise than one process with both shares. Here all divide by the
mean of their sums, as DETR does with its `num_boxes`; gradients are then those of the joint batch.
"""

from typing import Any

import torch
from ultralytics.utils.loss import E2ELoss, v8DetectionLoss

from distill_jobs.training import ranks


class _SharedNormaliser(v8DetectionLoss):
    """Ultralytics' detection loss over the joint batch of all processes."""

    def get_assigned_targets_and_loss(
        self, preds: dict[str, torch.Tensor], batch: dict[str, Any], **assign_kwargs: Any
    ) -> tuple[Any, torch.Tensor, dict[str, torch.Tensor]]:
        """Return targets, losses (float [3]: box, class, DFL) and the losses by name."""
        sums: list[torch.Tensor] = []
        listening = self.assigner.register_forward_hook(
            lambda _module, _inputs, answer: sums.append(answer[2].sum())
        )
        try:
            targets, loss, _ = super().get_assigned_targets_and_loss(preds, batch, **assign_kwargs)
        finally:
            listening.remove()
        if torch.is_grad_enabled():  # in validation the processes have unequal numbers of batches
            loss = loss * (sums[0].clamp(min=1) / ranks.mean(sums[0]).clamp(min=1 / ranks.joined()))
        return targets, loss, dict(zip(self.loss_names, loss.detach(), strict=True))


def share_normalisers(student: Any) -> None:
    """Let a student's losses be divided by what the processes' images hold together.

    Args:
        student: ultralytics' detection model; its `criterion` is replaced.
    """
    if getattr(student.model[-1], "one2one_cv2", None) is not None:
        student.criterion = E2ELoss(student, _SharedNormaliser)
    else:
        student.criterion = _SharedNormaliser(student)
