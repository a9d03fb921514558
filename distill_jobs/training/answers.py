"""What a teacher says about a batch, as the losses read it."""

from dataclasses import dataclass
from typing import Protocol

import torch

from distill_jobs.training.heads import HeadOutput, HeadShape


@dataclass(frozen=True)
class DenseAnswer:
    """A teacher whose head answers at the student's anchors.

    Attributes:
        head: Its one-to-many branch; logits in the student's classes.
        features: What feeds its head, one a level, the finest first: float [N, C_l, H_l, W_l].
            Empty where the teacher does not give them (`TeacherModel.shape.widths` is empty too).
        known: bool [C], the student's classes that this teacher knows.
        one_to_one: Its one-to-one branch, likewise, or None without one.
    """

    head: HeadOutput
    features: tuple[torch.Tensor, ...]
    known: torch.Tensor
    one_to_one: HeadOutput | None = None


@dataclass(frozen=True)
class BoxesAnswer:
    """A teacher that gives finished detections and nothing else; one tensor an image.

    Attributes:
        boxes_xyxy_px: float [K, 4] each, corners in pixels of the network's (augmented) input.
        scores: float [K] each, 0 to 1.
        class_ids: int64 [K] each, in the student's classes.
        known: bool [C], the student's classes that this teacher knows.
    """

    boxes_xyxy_px: tuple[torch.Tensor, ...]
    scores: tuple[torch.Tensor, ...]
    class_ids: tuple[torch.Tensor, ...]
    known: torch.Tensor


class TeacherModel(Protocol):
    """One teacher of possibly several.

    Whoever holds it neither moves nor saves nor copies it: it answers on the batch's device.
    """

    @property
    def weight(self) -> float:
        """Its share of the distillation losses, beside the other teachers' weights."""

    @property
    def shape(self) -> HeadShape | None:
        """Of the head behind its dense answers; None: it answers with boxes."""

    def answer(self, batch: dict[str, torch.Tensor]) -> DenseAnswer | BoxesAnswer:
        """Answer a batch of the data loader; without gradients.

        Args:
            batch: `img` float [N, 3, H, W], 0 to 1, RGB, augmented; `im_file` and the labels.
        """
