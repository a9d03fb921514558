"""Localisation distillation: where the teacher is unsure of an edge, and how."""

import torch
from torch.nn import functional

from distill_jobs.training.losses.divisor import shared_sum


def localisation_distillation(
    student_distances: torch.Tensor,
    teacher_distances: torch.Tensor,
    weights: torch.Tensor,
    *,
    temperature: float,
) -> torch.Tensor:
    """Pull the distributions of the student's distances towards the teacher's.

    A head with DFL gives for each side e of a box a distribution over `reg_max` distances; a flat
    one says that the edge is hard to see. With its logits d_t and d_s at anchor a:

        L = T² · Σ_a w_a · ¼ Σ_e KL(softmax(d_t/T) ‖ softmax(d_s/T)) / max(1, Σ_a w_a)

    Zheng et al., "Localization Distillation for Dense Object Detection" (LD), CVPR 2022, section
    3.2, with T = 10. Their code takes the mean of the KL's terms over reg_max + 1 = 17 distances
    instead of their sum, and weighs that by 0.25: here the same is 0.25 / 17, about 0.015. The
    paper adds regions around objects; the weight here is how sure the teacher is, max_c σ(t).

    Args:
        student_distances: float [N, 4 * reg_max, A], logits, the sides one after the other.
        teacher_distances: Likewise, the same `reg_max`; no gradient flows into it.
        weights: float [N, A], 0 to 1: how sure the teacher is of an object at each anchor.
        temperature: T, above 0.

    Returns:
        float scalar, 0 or above; 0 where the distributions are equal.
    """
    student = _log_distributions(student_distances, temperature)
    teacher = _log_distributions(teacher_distances.detach(), temperature)
    divergence = functional.kl_div(student, teacher, reduction="none", log_target=True)
    by_anchor = divergence.sum(dim=2).mean(dim=1)
    loss: torch.Tensor = (weights.detach() * by_anchor).sum() / shared_sum(weights)
    return loss * temperature**2


def _log_distributions(distances: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return float32 [N, 4, reg_max, A], log probabilities along dimension 2."""
    count, channels, anchors = distances.shape
    sides = distances.float().reshape(count, 4, channels // 4, anchors)
    return (sides / temperature).log_softmax(dim=2)
