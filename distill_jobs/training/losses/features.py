"""Squared distance of features where the teacher sees something."""

import torch

from distill_jobs.training.losses.divisor import shared_sum

_NOTHING_SEEN = 1e-9


def score_weighted_feature_distillation(
    student: torch.Tensor, teacher: torch.Tensor, scores: torch.Tensor
) -> torch.Tensor:
    """Pull the student's features towards the teacher's where there are objects.

    With the highest class score w_p of the teacher at each place p of an image:

        L = Σ_p w_p ‖s_p − t_p‖² / (C · Σ_p w_p)

    It is the loss of ultralytics' own distillation (`DistillationModel.loss_sl2`, 8.4).

    Args:
        student: float [N, C, H, W], projected to the teacher's channels.
        teacher: float [N, C, H, W]; no gradient flows into it.
        scores: float [N, H, W], 0 to 1; no gradient flows into it.

    Returns:
        float scalar, 0 or above; 0 where the features are equal.
    """
    scores = scores.detach().float()
    distance = (student.float() - teacher.detach().float()).square().mean(dim=1)
    loss: torch.Tensor = (scores * distance).sum() / shared_sum(scores, least=_NOTHING_SEEN)
    return loss
