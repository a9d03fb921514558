"""The one shape every exported detector has: a dense head, nothing suppressed."""

import copy
from typing import Any

import torch
from torch import nn

from distill_jobs.errors import UnsupportedModel


class DenseDetector(nn.Module):
    """An ultralytics detection model, float32 and fused, that answers with its dense head alone.

    The model given is copied and left as it was. End-to-end heads (YOLOv10, YOLO26) answer with
    their one-to-many branch: INT8 collapses the class indices of the other one, and the handlers
    suppress anyway.

    Attributes:
        head_index: Place of the head in the model's layers; names its nodes in an ONNX graph.
        stride: Pixels of the coarsest level: every side of an input is a multiple of it.
        classes: How many classes the head scores.
    """

    def __init__(self, model: nn.Module, image_size: int) -> None:
        super().__init__()
        head = _detect_head(model)
        stride = int(head.stride.max())
        if image_size <= 0 or image_size % stride:
            raise UnsupportedModel(
                f"image_size: {image_size} is not a multiple of the model's stride {stride}; "
                f"take {max(stride, round(image_size / stride) * stride)}"
            )
        self.image_size = image_size
        self.stride = stride
        self.classes = int(head.nc)
        fused = _fused(model)
        self.model = fused
        self.head_index = len(fused.model) - 1
        self.eval()  # the exporters put a module back into the mode they found it in

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the dense head's answer.

        Args:
            images: float32 [N, 3, H, W], RGB, 0 to 1; H and W multiples of the stride.

        Returns:
            float32 [N, 4 + classes, anchors]: cx, cy, w, h in input pixels, then class scores,
            0 to 1.
        """
        answer: torch.Tensor = self.model(images)
        return answer


def _detect_head(model: nn.Module) -> Any:
    from ultralytics.nn.modules.head import Detect  # noqa: PLC0415 - ultralytics reads its environment at import

    layers = getattr(model, "model", None)
    head = layers[-1] if isinstance(layers, nn.Sequential) else None
    if type(head).__name__ not in {"Detect", "v10Detect"} or not isinstance(head, Detect):
        raise UnsupportedModel(
            f"the model ends in {type(head).__name__}, not in a detection head "
            "(Detect, v10Detect): give a YOLO detection checkpoint"
        )
    return head


def _fused(model: nn.Module) -> Any:
    copied: Any = copy.deepcopy(model).float().cpu().eval()
    copied.requires_grad_(requires_grad=False)
    head = copied.model[-1]
    if getattr(head, "one2one_cv2", None) is not None:
        head.end2end = False  # before fusing, which removes the branch that is not in use
    head.export = True
    head.dynamic = True  # the grid is part of the graph: an export takes rectangles
    return copied.fuse(verbose=False)
