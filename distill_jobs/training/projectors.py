"""1x1 convolutions from the student's features to its teachers' widths."""

from collections.abc import Sequence

import torch
from torch import nn

from distill_jobs.training.heads import HeadShape


def build_projectors(teachers: Sequence[HeadShape | None], student: HeadShape) -> nn.ModuleDict:
    """Build a projector for each teacher and level whose width is not the student's.

    They are trained beside the student and thrown away with the teachers.

    Args:
        teachers: Shapes of their heads; None for one that gives no features.
        student: Shape of its head.

    Returns:
        By `key(teacher, level)`; a level of the same width has none.
    """
    built = {
        key(index, level): nn.Conv2d(ours, theirs, kernel_size=1)
        for index, teacher in enumerate(teachers)
        if teacher is not None
        for level, (ours, theirs) in enumerate(zip(student.widths, teacher.widths, strict=False))
        if ours != theirs
    }
    return nn.ModuleDict(built)


def project(
    projectors: nn.ModuleDict, teacher: int, level: int, features: torch.Tensor
) -> torch.Tensor:
    """Return the student's features at a level in a teacher's width, float32.

    Args:
        projectors: Of `build_projectors`.
        teacher: Its place in the list of teachers.
        level: 0 for the finest.
        features: float [N, C_student, H, W].
    """
    name = key(teacher, level)
    projected: torch.Tensor = features.float()
    return projectors[name](projected) if name in projectors else projected


def key(teacher: int, level: int) -> str:
    """Return the name of a teacher's projector at a level."""
    return f"{teacher}_{level}"
