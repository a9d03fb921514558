"""A detection head's raw output, and whether two heads can be compared."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from ultralytics.utils.tal import dist2bbox, make_anchors

from distill_jobs.checkpoints import class_names
from distill_jobs.errors import HeadsDiffer


@dataclass(frozen=True)
class HeadOutput:
    """What a head says before any suppression.

    Attributes:
        logits: float [N, C, A], class scores before the sigmoid.
        boxes_xyxy_px: float [N, A, 4], corners in pixels of the network's input.
    """

    logits: torch.Tensor
    boxes_xyxy_px: torch.Tensor


def read_head(model: nn.Module, predictions: Any) -> HeadOutput:
    """Decode what a detector returned, in training or in eval mode.

    Args:
        model: The detector; its last layer is the head.
        predictions: ultralytics' raw dict, or its (decoded, raw) pair; of an end-to-end model the
            one-to-many branch is read, which is the one that sees every anchor.

    Returns:
        Logits and boxes; gradients flow through both.
    """
    raw = predictions[1] if isinstance(predictions, tuple) else predictions
    raw = raw.get("one2many", raw)
    head = _head(model)
    anchors, strides = make_anchors(raw["feats"], head.stride, 0.5)
    distances = head.dfl(raw["boxes"])
    boxes = dist2bbox(distances.permute(0, 2, 1), anchors.unsqueeze(0), xywh=False) * strides
    return HeadOutput(logits=raw["scores"], boxes_xyxy_px=boxes)


def check_heads(teacher: nn.Module, student: nn.Module) -> None:
    """Check that teacher and student can be compared anchor by anchor and class by class.

    Raises:
        HeadsDiffer: Their strides or class names differ; the message gives both.
    """
    strides = [[int(stride) for stride in _head(model).stride] for model in (teacher, student)]
    if strides[0] != strides[1]:
        raise HeadsDiffer(
            f"teacher and student must share strides: the teacher's head works at {strides[0]}, "
            f"the student's at {strides[1]}. Choose architectures with the same levels "
            "(P6 models only with P6 models)"
        )
    names = class_names(teacher), class_names(student)
    if names[0] != names[1]:
        raise HeadsDiffer(
            f"teacher and student must share classes: the teacher knows {_some(names[0])}, the "
            f"data set names {_some(names[1])}. Fine-tune the teacher on this data set first: "
            "`teacher: {weights: ..., train: {...}}`"
        )


def _head(model: nn.Module) -> Any:
    layers: Any = model.model
    return layers[-1]


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:4])
    return f"{len(names)} classes ({shown}{', ...' if len(names) > 4 else ''})"
