"""Distillation of box positions by generalised IoU."""

import torch
from torchvision.ops import generalized_box_iou_loss

from distill_jobs.training.losses.divisor import shared_sum


def giou_box_distillation(
    student_boxes: torch.Tensor, teacher_boxes: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Pull the student's boxes towards the teacher's where the teacher sees something.

    With boxes b_s, b_t and weight w_a at anchor a:

        L = Σ_a w_a · (1 − GIoU(b_s, b_t)) / max(1, Σ_a w_a)

    It compares decoded boxes, so teacher and student may differ in how they encode them.

    The idea is the IoU-based localisation distillation of Yang et al. (BCKD), ICCV 2023; the
    weight here is how sure the teacher is, max_c σ(t). GIoU, which has a gradient where boxes do
    not overlap: Rezatofighi et al., "Generalized Intersection over Union", CVPR 2019, algorithm 1.

    Args:
        student_boxes: float [N, A, 4], corners x1, y1, x2, y2; any unit, the same for both.
        teacher_boxes: float [N, A, 4]; no gradient flows into it.
        weights: float [N, A], 0 to 1: how sure the teacher is of an object at each anchor.

    Returns:
        float scalar, 0 to 2; 0 where the boxes are equal.
    """
    distance = generalized_box_iou_loss(student_boxes, teacher_boxes.detach(), reduction="none")
    loss: torch.Tensor = (weights.detach() * distance).sum() / shared_sum(weights)
    return loss
