"""Per-class binary distillation of class scores."""

import torch
from torch.nn import functional

from distill_jobs.training.losses.divisor import shared_sum


def binary_class_distillation(
    student_logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    known: torch.Tensor | None = None,
) -> torch.Tensor:
    """Pull the student's class scores towards the teacher's, class by class.

    Detection heads end in a sigmoid per class, so each class is a binary question of its own and
    softmax distillation does not fit. With student and teacher logits s and t at anchor a, class c:

        L = Σ_a,c |σ(t) − σ(s)| · BCE(σ(s), σ(t)) / max(1, Σ_a max_c σ(t))

    The first factor is the paper's weight: where both agree nothing is learnt.
    The denominator counts the anchors at which the teacher sees something, so the many empty ones
    do not thin the loss out; its floor of 1 keeps an image without objects from blowing it up.

    Yang et al., "Bridging Cross-task Protocol Inconsistency for Distillation in Dense Object
    Detection" (BCKD), ICCV 2023, binary classification
    distillation loss.

    Args:
        student_logits: float [N, C, A], before the sigmoid.
        teacher_logits: float [N, C, A], before the sigmoid; no gradient flows into it. Minus
            infinity stands for a score of 0.
        known: bool [C], the classes that the teacher knows; of the others nothing is learnt. None:
            all.

    Returns:
        float scalar, 0 or above; 0 where student and teacher are equal.
    """
    if known is not None:
        student_logits, teacher_logits = student_logits[:, known], teacher_logits[:, known]
    teacher = teacher_logits.detach().sigmoid()
    student = student_logits.sigmoid()
    entropy = functional.binary_cross_entropy_with_logits(student_logits, teacher, reduction="none")
    loss: torch.Tensor = ((teacher - student).abs() * entropy).sum()
    return loss / shared_sum(teacher.amax(dim=1))
