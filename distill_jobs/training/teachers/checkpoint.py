"""Finished boxes of an ultralytics checkpoint: a YOLO of any strides, or an RT-DETR."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from distill_jobs.fitting import fit
from distill_jobs.training.heads import read_head
from distill_jobs.training.teachers.dense import is_dense
from distill_jobs.training.teachers.found import (
    BoxFinder,
    Found,
    Selection,
    SourceImage,
    identity,
)


def finder_of(
    model: nn.Module, digest: str, selection: Selection, image_size: int, device: torch.device
) -> BoxFinder:
    """Choose how a checkpoint's boxes are read.

    Args:
        model: The detector, float32.
        digest: SHA-256 of its file.
        selection: How scores become boxes.
        image_size: Side of its square input, pixels.
        device: Where it runs.
    """
    model.eval().requires_grad_(requires_grad=False).to(device)
    dense = is_dense(model)
    name = identity(
        teacher=digest,
        image_size=image_size,
        fit="letterbox" if dense else "stretch",
        **selection.parts,
    )
    kind = _YoloFinder if dense else _QueryFinder
    return kind(model, name, selection, image_size, device)


@dataclass(frozen=True)
class _YoloFinder:
    """A dense head, suppressed here; of an end-to-end head the one-to-many branch."""

    model: Any
    identity: str
    selection: Selection
    image_size: int
    device: torch.device

    def find(self, image: SourceImage) -> Found:
        tensor, geometry = fit(image.read(), self.image_size)
        batch = torch.from_numpy(tensor)[None].to(self.device)
        with torch.no_grad():
            head = read_head(self.model, self.model(batch))
        boxes, scores = head.boxes_xyxy_px[0].float(), head.logits[0].float().sigmoid()
        centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        dense = torch.cat((centres.T, sizes.T, scores))
        return self.selection.from_dense(dense.cpu().numpy(), geometry)


@dataclass(frozen=True)
class _QueryFinder:
    """RT-DETR: queries instead of anchors, nothing to suppress, the image stretched to a square."""

    model: Any
    identity: str
    selection: Selection
    image_size: int
    device: torch.device

    def find(self, image: SourceImage) -> Found:
        pixels = image.read()
        height, width = pixels.shape[:2]
        with torch.no_grad():
            answer: Any = self.model(self._stretched(pixels))
        # [queries, 6]: cx, cy, w, h as fractions of the image, score, class.
        rows = (answer[0] if isinstance(answer, tuple) else answer)[0].float().cpu().numpy()
        centres, half = rows[:, :2], rows[:, 2:4] / 2
        corners = np.concatenate((centres - half, centres + half), axis=1)
        return self.selection.from_finished(
            (corners * np.array([width, height] * 2)).astype(np.float32),
            rows[:, 4],
            rows[:, 5].astype(np.int64),
            width=width,
            height=height,
        )

    def _stretched(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        side = self.image_size
        square = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_LINEAR)
        tensor = torch.from_numpy(square).permute(2, 0, 1)[None].to(self.device)
        return tensor.float() / 255
