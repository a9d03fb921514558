"""Channel-wise distillation of features."""

import torch
from torch.nn import functional

from distill_jobs.training.losses.standardised import standardised


def channel_wise_distillation(
    student: torch.Tensor, teacher: torch.Tensor, *, temperature: float = 1.0
) -> torch.Tensor:
    """Let each channel of the student light up where the teacher's does.

    Each channel becomes a distribution over the places p of an image, so that what counts is where
    it is strongest. Both are standardised first, or the channels with the largest scale decide:

        L = τ² / (N C) · Σ_n,c KL(softmax_p(t̂/τ) ‖ softmax_p(ŝ/τ))

    Shu et al., "Channel-wise Knowledge Distillation for Dense Prediction" (CWD), ICCV 2021,
    equations 2 to 4; standardised and with τ = 1 as MMYOLO does for RTMDet.

    Args:
        student: float [N, C, H, W], projected to the teacher's channels.
        teacher: float [N, C, H, W]; no gradient flows into it.
        temperature: τ, above 0.

    Returns:
        float scalar, 0 or above; 0 where the features are equal up to each channel's scale.
    """
    ours = _log_places(student, temperature)
    theirs = _log_places(teacher.detach(), temperature)
    divergence = functional.kl_div(ours, theirs, reduction="sum", log_target=True)
    maps = student.shape[0] * student.shape[1]
    return divergence * temperature**2 / maps


def _log_places(features: torch.Tensor, temperature: float) -> torch.Tensor:
    return (standardised(features).flatten(2) / temperature).log_softmax(dim=2)
