"""Distillation by Pearson correlation, for teachers built in another way."""

import torch

from distill_jobs.training.losses.standardised import standardised


def pearson_distillation(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Let the student's features rise and fall with the teacher's, whatever their size.

    Where teacher and student differ in kind, so do the sizes of their features, and a squared
    distance mostly teaches those. With ρ_c, Pearson's correlation of channel c over the batch and
    its places:

        L = 1 − (1/C) Σ_c ρ_c  =  ½ · mean (ŝ − t̂)²,  ŝ and t̂ standardised

    Cao et al., "PKD: General Distillation Framework for Object Detectors via Pearson Correlation
    Coefficient", NeurIPS 2022, equations 2 to 5.

    Args:
        student: float [N, C, H, W], projected to the teacher's channels.
        teacher: float [N, C, H, W]; no gradient flows into it.

    Returns:
        float scalar, 0 to 2; 0 where the features are equal up to each channel's scale and shift.
    """
    distance = standardised(student) - standardised(teacher.detach())
    loss: torch.Tensor = distance.square().mean() / 2
    return loss
