"""A teacher whose head answers at the student's own anchors."""

from dataclasses import replace
from typing import Any, Self

import torch
from torch import nn
from ultralytics.nn.modules.head import Detect

from distill_jobs.training.answers import DenseAnswer
from distill_jobs.training.heads import HeadOutput, HeadShape, head_shape, read
from distill_jobs.training.teachers.classes import ClassMap
from distill_jobs.training.teachers.residence import Offload, residence_of


class DetectorTeacher:
    """A frozen ultralytics detector beside the student, asked about every batch.

    It is no `nn.Module`, and a copy of it is itself: whoever holds it has nothing more to train,
    average or save.

    Args:
        model: With a `Detect` head; frozen here and put into eval mode, batch norm included.
        class_map: From its classes to the student's.
        weight: Its share of the distillation losses.
        offload: Where its weights lie between two steps.

    Raises:
        HeadsDiffer: It was fused for inference and has lost its one-to-many branch.
    """

    def __init__(
        self,
        model: nn.Module,
        class_map: ClassMap,
        *,
        weight: float = 1.0,
        offload: Offload = "none",
    ) -> None:
        model.eval().requires_grad_(requires_grad=False)
        self._model: Any = model
        self._class_map = class_map
        self._weight = weight
        self._shape = head_shape(model)
        self._residence = residence_of(model, offload)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return itself: a trainer that averages the student needs no second teacher."""
        return self

    @property
    def weight(self) -> float:
        """Its share of the distillation losses."""
        return self._weight

    @property
    def shape(self) -> HeadShape:
        """Of its head."""
        return self._shape

    @property
    def known(self) -> torch.Tensor:
        """The student's classes that it knows, bool [C]."""
        return self._class_map.known

    def answer(self, batch: dict[str, torch.Tensor]) -> DenseAnswer:
        """Run the detector on a batch, on the batch's device, without gradients.

        Args:
            batch: `img` float [N, 3, H, W], 0 to 1, RGB.

        Returns:
            Its answer; heads float32, features as autocast left them.
        """
        images = batch["img"]
        with torch.no_grad(), self._residence.on(images.device):
            said = read(self._model, self._model(images))
        return DenseAnswer(
            head=self._mapped(said.one_to_many),
            features=said.features,
            known=self.known.to(images.device),
            one_to_one=None if said.one_to_one is None else self._mapped(said.one_to_one),
        )

    def _mapped(self, head: HeadOutput) -> HeadOutput:
        return replace(head, logits=self._class_map.logits(head.logits))


def is_dense(model: Any) -> bool:
    """Return whether a detector's head answers at anchors; RT-DETR's answers queries."""
    return isinstance(model.model[-1], Detect)


def answers_alike(teacher: nn.Module, student: nn.Module) -> bool:
    """Return whether two detectors answer at the same anchors."""
    return is_dense(teacher) and head_shape(teacher).strides == head_shape(student).strides
