"""A teacher whose head answers at the student's own anchors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Self

import torch
from torch import nn

from distill_jobs.errors import HeadsDiffer
from distill_jobs.training.answers import DenseAnswer
from distill_jobs.training.heads import read_head
from distill_jobs.training.teachers.classes import ClassMap
from distill_jobs.training.teachers.residence import Offload, residence_of


class DetectorTeacher:
    """A frozen ultralytics detector beside the student, asked about every batch.

    It is no `nn.Module` and a copy of it is itself: whoever holds it has nothing more to train,
    average or save.

    Args:
        model: With a `Detect` head; frozen here and put into eval mode, batch norm included.
        class_map: From its classes to the student's.
        weight: Its share of the distillation losses.
        offload: Where its weights lie between two steps.
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
        self._residence = residence_of(model, offload)
        layers = self._model.model
        self._feeding_the_head = [layers[index] for index in layers[-1].f]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return itself: a trainer that averages the student needs no second teacher."""
        return self

    @property
    def weight(self) -> float:
        """Its share of the distillation losses."""
        return self._weight

    def answer(self, batch: dict[str, torch.Tensor]) -> DenseAnswer:
        """Run the detector on a batch, on the batch's device, without gradients.

        Args:
            batch: `img` float [N, 3, H, W], 0 to 1, RGB.

        Returns:
            Its answer; logits and boxes float32, features as autocast left them.
        """
        images = batch["img"]
        with torch.no_grad(), self._residence.on(images.device):
            with _captured(self._feeding_the_head) as features:
                predictions = self._model(images)
            head = read_head(self._model, predictions)
            logits = self._class_map.logits(head.logits.float())
            head = replace(head, logits=logits, boxes_xyxy_px=head.boxes_xyxy_px.float())
        known = self._class_map.known.to(images.device)
        return DenseAnswer(head=head, features=tuple(features), known=known)


def strides_of(model: Any) -> tuple[int, ...] | None:
    """Return the strides of a detector's dense head, None where its head is no dense one."""
    from ultralytics.nn.modules.head import Detect  # noqa: PLC0415  # after offline()

    head = model.model[-1]
    if not isinstance(head, Detect):
        return None
    return tuple(int(stride) for stride in head.stride)


def check_strides(teacher: nn.Module, student: nn.Module) -> None:
    """Check that two heads answer at the same anchors.

    Raises:
        HeadsDiffer: They do not; the message gives both and what to do.
    """
    theirs, ours = strides_of(teacher), strides_of(student)
    if theirs != ours:
        works = f"works at strides {list(theirs)}" if theirs else "is no dense one (RT-DETR?)"
        raise HeadsDiffer(
            f"the teacher's head {works}, the student's at {list(ours or ())}: they cannot be "
            "compared anchor by anchor. Let it give finished boxes instead (`answers: boxes`, or "
            "`auto`), or choose architectures with the same levels (P6 only with P6)"
        )


@contextmanager
def _captured(layers: Sequence[nn.Module]) -> Iterator[list[torch.Tensor]]:
    """Collect what each layer gives out inside the block, in the order of `layers`."""
    given: dict[int, torch.Tensor] = {}
    collected: list[torch.Tensor] = []

    def keep(layer: nn.Module, _: Any, output: torch.Tensor) -> None:
        given[id(layer)] = output

    handles = [layer.register_forward_hook(keep) for layer in layers]
    try:
        yield collected
        collected.extend(given[id(layer)] for layer in layers)
    finally:
        for handle in handles:
            handle.remove()
