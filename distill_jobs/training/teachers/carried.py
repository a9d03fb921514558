"""Teachers' boxes that travel through augmentation with the image they belong to.

Ultralytics moves, clips and drops labelled objects as it joins, scales and flips images. Boxes that
a teacher found in the source image take the same way as further objects: their row of `cls`, which
every transform keeps beside the box, is [class, teacher, score] instead of [class], and teacher 0
is the ground truth. After the last transform they are taken out again.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from distill_jobs.training.answers import BoxesAnswer
from distill_jobs.training.teachers.classes import ClassMap
from distill_jobs.training.teachers.found import Found

KEY = "carried"
_GROUND_TRUTH = 0


def rows_of(found: Found, teacher: int) -> NDArray[np.float32]:
    """Write a teacher's boxes as rows to carry.

    Args:
        found: In the source image.
        teacher: Its number among those that give boxes, from 1.

    Returns:
        float32 [K, 7]: class, teacher, score, then cx, cy, w, h as fractions of the image.
    """
    corners = found.boxes_xyxy_px / np.array([found.width, found.height] * 2, np.float32)
    centres, sizes = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
    marks = np.full(len(corners), teacher, np.float32)
    columns = (found.class_ids.astype(np.float32), marks, found.scores)
    return np.concatenate((np.stack(columns, axis=1), centres, sizes), axis=1, dtype=np.float32)


def load(label: dict[str, Any], rows: NDArray[np.float32], *, polygons: bool) -> dict[str, Any]:
    """Put rows to carry beside a label's own objects.

    Args:
        label: ultralytics' own, before it becomes `Instances`: `cls` [n, 1], `bboxes` [n, 4] in
            fractions, cx, cy, w, h, and `segments`, a polygon each or none at all.
        rows: Of `rows_of`.
        polygons: Whether the data set is labelled with them. An image without objects does not
            show it, and a mosaic needs an outline of all boxes in its four images or of none.

    Returns:
        The label with n + K objects, `cls` float32 [n + K, 3].
    """
    own = label["cls"]
    marked = np.zeros((len(own), 3), np.float32)
    marked[:, :1], marked[:, 1], marked[:, 2] = own, _GROUND_TRUTH, 1.0
    loaded = dict(label)
    loaded["cls"] = np.concatenate((marked, rows[:, :3]))
    loaded["bboxes"] = np.concatenate((label["bboxes"], rows[:, 3:])).astype(np.float32)
    if polygons:
        loaded["segments"] = [*label.get("segments", ()), *_outlines(rows[:, 3:])]
    return loaded


def unload(label: dict[str, Any]) -> dict[str, Any]:
    """Take carried boxes out of an augmented label, as the last transform.

    Args:
        label: After ultralytics' `Format`: tensors `cls` [n, 1 or 3], `bboxes` [n, 4] in fractions,
            `batch_idx` [n].

    Returns:
        The label with its own objects alone, and `carried`: float32 [K, 7] as in `rows_of`, in
        fractions of the augmented image.
    """
    marked, boxes = label["cls"], label["bboxes"]
    if marked.shape[1] == 1:  # what Format gives where nothing is left
        marked = marked.new_zeros((len(marked), 3))
    own = marked[:, 1] == _GROUND_TRUTH
    return {
        **label,
        "cls": marked[own, :1],
        "bboxes": boxes[own],
        "batch_idx": label["batch_idx"][own],
        KEY: torch.cat((marked[~own], boxes[~own]), dim=1).float(),
    }


class BoxesTeacher:
    """A teacher whose boxes arrive with the batch.

    Args:
        number: Its number among those that give boxes, from 1.
        class_map: From its classes to the student's.
        weight: Its share of the distillation losses.
    """

    def __init__(self, number: int, class_map: ClassMap, *, weight: float = 1.0) -> None:
        self._number, self._known, self._weight = number, class_map.known, weight

    @property
    def weight(self) -> float:
        """Its share of the distillation losses."""
        return self._weight

    @property
    def shape(self) -> None:
        """None: no head of its own answers at the student's anchors."""

    def answer(self, batch: dict[str, Any]) -> BoxesAnswer:
        """Return its boxes where augmentation has moved them.

        Args:
            batch: `img` float [N, 3, H, W], and `carried` of `unload`, one tensor an image.
        """
        images = batch["img"]
        height, width = images.shape[2:]
        scale = torch.tensor([width, height] * 2, device=images.device)
        rows = [one.to(images.device) for one in batch[KEY]]
        mine = [one[one[:, 1] == self._number] for one in rows]
        return BoxesAnswer(
            boxes_xyxy_px=tuple(_corners(one[:, 3:]) * scale for one in mine),
            scores=tuple(one[:, 2] for one in mine),
            class_ids=tuple(one[:, 0].long() for one in mine),
            known=self._known.to(images.device),
        )


def _corners(boxes_cxcywh: torch.Tensor) -> torch.Tensor:
    centres, half = boxes_cxcywh[:, :2], boxes_cxcywh[:, 2:] / 2
    return torch.cat((centres - half, centres + half), dim=1)


def _outlines(boxes_cxcywh: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return each box as a polygon: where labels are polygons, ultralytics moves those instead."""
    corner = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]], np.float32)
    return [box[:2] + corner * box[2:] for box in boxes_cxcywh]
