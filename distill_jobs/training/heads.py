"""A detection head's raw output, and whether two heads can be compared."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from ultralytics.utils.tal import dist2bbox, make_anchors

from distill_jobs.errors import HeadsDiffer


@dataclass(frozen=True)
class HeadShape:
    """What a dense head looks like before it has seen an image.

    Attributes:
        strides: Of its levels, pixels, the finest first.
        widths: Channels of the features that feed it, one a level.
        reg_max: Bins of each side's distribution; 1 where the head gives plain distances.
        one_to_one: Whether it has a one-to-one branch beside the one-to-many one.
    """

    strides: tuple[int, ...]
    widths: tuple[int, ...]
    reg_max: int
    one_to_one: bool


@dataclass(frozen=True)
class HeadOutput:
    """What a branch of a head says before any suppression.

    Attributes:
        logits: float [N, C, A], class scores before the sigmoid.
        boxes_xyxy_px: float [N, A, 4], corners in pixels of the network's input.
        distances: float [N, 4 * reg_max, A], of each side (left, top, right, bottom) the logits of
            its distance's distribution, or the distance itself where reg_max is 1, in strides;
            None where the boxes come from no head.
    """

    logits: torch.Tensor
    boxes_xyxy_px: torch.Tensor
    distances: torch.Tensor | None = None


@dataclass(frozen=True)
class Reading:
    """All that the losses read of a dense detector's predictions.

    Attributes:
        one_to_many: The branch whose anchors all see an object.
        one_to_one: The branch in which one anchor speaks for an object; None without one. In
            training no gradient flows from it into the features.
        features: What feeds the head, one a level, the finest first: float [N, C_l, H_l, W_l].
        centres_px: float [A, 2], x and y of the anchors, pixels.
    """

    one_to_many: HeadOutput
    one_to_one: HeadOutput | None
    features: tuple[torch.Tensor, ...]
    centres_px: torch.Tensor


def read(model: nn.Module, predictions: Any) -> Reading:
    """Decode what a detector returned, in training or in eval mode.

    Args:
        model: The detector; its last layer is the head.
        predictions: ultralytics' raw dict, or its (decoded, raw) pair.

    Returns:
        Logits, boxes and distances in float32, also under autocast; gradients flow through them.
    """
    raw = predictions[1] if isinstance(predictions, tuple) else predictions
    many, one = raw.get("one2many", raw), raw.get("one2one")
    head = _head(model)
    centres, strides = make_anchors(many["feats"], head.stride, 0.5)
    centres, strides = centres.float(), strides.float()
    return Reading(
        one_to_many=_decoded(head, many, centres, strides),
        one_to_one=None if one is None else _decoded(head, one, centres, strides),
        features=tuple(many["feats"]),
        centres_px=centres * strides,
    )


def read_head(model: nn.Module, predictions: Any) -> HeadOutput:
    """Decode the one-to-many branch alone; arguments are those of `read`."""
    return read(model, predictions).one_to_many


def head_shape(model: nn.Module) -> HeadShape:
    """Describe a detector's head.

    Raises:
        HeadsDiffer: It was fused for inference and has lost its one-to-many branch.
    """
    head = _head(model)
    if head.cv2 is None:
        raise HeadsDiffer(
            "the model was fused for inference and its one-to-many branch is gone: give the "
            "checkpoint as it was trained"
        )
    return HeadShape(
        strides=tuple(int(stride) for stride in head.stride),
        widths=tuple(int(branch[0].conv.in_channels) for branch in head.cv2),
        reg_max=int(head.reg_max),
        one_to_one=getattr(head, "one2one_cv2", None) is not None,
    )


def check_strides(teacher: HeadShape, student: HeadShape) -> None:
    """Check that teacher and student answer at the same anchors.

    Raises:
        HeadsDiffer: They do not; the message gives both.
    """
    if teacher.strides != student.strides:
        raise HeadsDiffer(
            "teacher and student must share strides: the teacher's head works at "
            f"{list(teacher.strides)}, the student's at {list(student.strides)}. Choose "
            "architectures with the same levels (P6 models only with P6 models)"
        )


def check_distributions(teacher: HeadShape, student: HeadShape) -> None:
    """Check that both heads give distributions over the same distances.

    Raises:
        HeadsDiffer: They do not; the message gives both `reg_max`.
    """
    if teacher.reg_max != student.reg_max or student.reg_max == 1:
        raise HeadsDiffer(
            "distillation.losses.dfl compares distributions of distances: both heads need the "
            f"same reg_max above 1; the teacher's is {teacher.reg_max}, the student's "
            f"{student.reg_max} (YOLOv5u, YOLOv8 and YOLO11 have 16, YOLO26 has 1). Set it to 0; "
            "`box` distils positions whatever the head"
        )


def _decoded(
    head: Any, raw: dict[str, torch.Tensor], centres: torch.Tensor, strides: torch.Tensor
) -> HeadOutput:
    distances = raw["boxes"].float()
    with torch.autocast(distances.device.type, enabled=False):
        sides = head.dfl(distances).permute(0, 2, 1)
        boxes = dist2bbox(sides, centres.unsqueeze(0), xywh=False) * strides
    return HeadOutput(logits=raw["scores"].float(), boxes_xyxy_px=boxes, distances=distances)


def _head(model: nn.Module) -> Any:
    layers: Any = model.model
    return layers[-1]
