"""Ultralytics' validator with a release's boxes: suppressed as it does, and cut at the picture."""

from typing import Any

import numpy as np
import torch
from ultralytics.models.yolo.detect import DetectionValidator


class ReleasesValidator(DetectionValidator):
    """Scores an epoch as `validation_score` and a release do.

    Workers cut boxes at the picture's edges, and so do labels: a box that reaches beyond, around an
    object that is half in the picture, is not to lose for it. The suppression's IoU comes with the
    arguments.
    """

    def _process_batch(
        self, preds: dict[str, torch.Tensor], batch: dict[str, Any]
    ) -> dict[str, np.ndarray]:
        cut = {**preds, "bboxes": _cut(preds["bboxes"], batch)}
        matched: dict[str, np.ndarray] = super()._process_batch(cut, batch)
        return matched


def _cut(boxes_xyxy_px: torch.Tensor, picture: dict[str, Any]) -> torch.Tensor:
    """Cut boxes, float [N, 4] in pixels of the input, at the part that the picture fills."""
    (gain_y, gain_x), (left, top) = picture["ratio_pad"]
    height, width = picture["ori_shape"]
    corners = (left, top, left + gain_x * width, top + gain_y * height)
    low, high = (boxes_xyxy_px.new_tensor(one * 2) for one in (corners[:2], corners[2:]))
    return boxes_xyxy_px.clamp(low, high)
