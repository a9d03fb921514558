"""Distillation of softmax scores, for heads whose classes exclude each other."""

import torch
from torch.nn import functional


def softmax_distillation(
    student_logits: torch.Tensor, teacher_logits: torch.Tensor, *, temperature: float
) -> torch.Tensor:
    """Pull the student's class distribution towards the teacher's, softened.

    A high temperature T shows which wrong classes the teacher finds likely; T² gives gradients the
    size that they have without it:

        L = T² / N · Σ_n KL(softmax(t/T) ‖ softmax(s/T))

    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, section 2.
    Detection heads end in a sigmoid per class: use `binary_class_distillation` for them.

    Args:
        student_logits: float [N, K].
        teacher_logits: float [N, K]; no gradient flows into it.
        temperature: T, above 0.

    Returns:
        float scalar, 0 or above; 0 where the distributions are equal.
    """
    ours = (student_logits.float() / temperature).log_softmax(dim=1)
    theirs = (teacher_logits.detach().float() / temperature).log_softmax(dim=1)
    divergence = functional.kl_div(ours, theirs, reduction="batchmean", log_target=True)
    return divergence * temperature**2
