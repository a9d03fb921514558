"""Ultralytics' data set with what its label files cannot hold: teachers' boxes, and no labels."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ultralytics.data.augment import Mosaic
from ultralytics.data.dataset import YOLODataset
from ultralytics.utils import colorstr

from distill_jobs.data.dataset import Dataset
from distill_jobs.training.teachers.carried import load, unload

LABELLED = "labelled"


class TaughtDataset(YOLODataset):
    """The training split beside teachers.

    Each batch gains `carried` (a tuple of tensors, see `carried.unload`) where teachers give boxes,
    and `labelled` (bool [N]) where some images have no labels. A mosaic joins images of one kind
    only: joined with an unlabelled one, a labelled image would lose its ground truth, or the
    unlabelled one would teach that it is empty.

    Args:
        boxes: Rows to carry (`carried.rows_of`) by the image's staged file name; every image has
            an entry, or there are none at all.
        unlabelled: Staged file names of images that nobody labelled.
        options: Of ultralytics' own class.
    """

    def __init__(
        self,
        *,
        boxes: Mapping[str, NDArray[np.float32]],
        unlabelled: frozenset[str],
        **options: Any,
    ) -> None:
        self._boxes, self._unlabelled = boxes, unlabelled
        super().__init__(**options)
        self._polygons = any(len(label["segments"]) for label in self.labels)
        self._kinds: dict[bool, list[int]] = {True: [], False: []}
        for index, file in enumerate(self.im_files):
            self._kinds[self._is_labelled(file)].append(index)

    def update_labels_info(self, label: dict[str, Any]) -> dict[str, Any]:
        """Load teachers' boxes and the image's kind onto a label."""
        if self._boxes:
            rows = self._boxes[Path(label["im_file"]).name]
            label = load(label, rows, polygons=self._polygons)
        if self._unlabelled:
            label[LABELLED] = self._is_labelled(label["im_file"])
        updated: dict[str, Any] = super().update_labels_info(label)
        return updated

    def build_transforms(self, hyp: Any) -> Any:
        """Build ultralytics' transforms, with a mosaic that keeps kinds apart and the unloading."""
        transforms = super().build_transforms(hyp)
        if self._unlabelled:
            _keep_kinds_apart(transforms)
        if self._boxes:
            transforms.append(unload)
        return transforms

    def of_one_kind(self, *, labelled: bool, count: int) -> list[int]:
        """Draw images of a kind, with replacement."""
        return random.choices(self._kinds[labelled], k=count)  # noqa: S311  # as ultralytics does

    @staticmethod
    def collate_fn(batch: list[dict[str, Any]]) -> dict[str, Any]:
        """Join labels into a batch."""
        joined: dict[str, Any] = YOLODataset.collate_fn(batch)
        if LABELLED in joined:
            joined[LABELLED] = torch.tensor(joined[LABELLED], dtype=torch.bool)
        return joined

    def _is_labelled(self, file: str) -> bool:
        return Path(file).name not in self._unlabelled


class LabelledDataset(YOLODataset):
    """The training split without its unlabelled images: nobody is there to explain them.

    Args:
        unlabelled: Staged file names to leave out.
        options: Of ultralytics' own class.
    """

    def __init__(self, *, unlabelled: frozenset[str], **options: Any) -> None:
        self._unlabelled = unlabelled
        super().__init__(**options)

    def get_img_files(self, img_path: str | list[str]) -> list[str]:
        """List the images that have labels."""
        files: list[str] = super().get_img_files(img_path)
        return [file for file in files if Path(file).name not in self._unlabelled]


class _KindredMosaic(Mosaic):
    """A mosaic of images that are all labelled, or all not."""

    def get_params(self, labels: dict[str, Any]) -> dict[str, Any]:
        self._labelled = bool(labels[LABELLED])
        params: dict[str, Any] = super().get_params(labels)
        return params

    def get_indexes(self) -> list[int]:
        chosen: list[int] = self.dataset.of_one_kind(labelled=self._labelled, count=self.n - 1)
        return chosen


def unlabelled_names(data: Dataset) -> frozenset[str]:
    """Return the staged file names of training images that nobody labelled."""
    return frozenset(one.image.name for one in data.split("train") if not one.labelled)


def build_training_split(
    boxes: Mapping[str, NDArray[np.float32]],
    unlabelled: frozenset[str],
    options: dict[str, Any],
    *,
    taught: bool,
) -> YOLODataset | None:
    """Build the training split where its label files do not say all.

    Args:
        boxes: What it carries for teachers; empty without any.
        unlabelled: Staged file names of images that nobody labelled.
        options: Of `training_options`.
        taught: Whether a teacher explains the unlabelled images; they are left out otherwise.

    Returns:
        The split, or None where ultralytics' own will do.
    """
    if taught and (boxes or unlabelled):
        return TaughtDataset(boxes=boxes, unlabelled=unlabelled, **options)
    if unlabelled:
        return LabelledDataset(unlabelled=unlabelled, **options)
    return None


def training_options(
    args: Any, data: dict[str, Any], images: str, batch: int | None, stride: int
) -> dict[str, Any]:
    """Return what ultralytics' `build_yolo_dataset` gives the data set of a training split.

    Args:
        args: The trainer's arguments.
        data: The trainer's description of the data set.
        images: Folder of the split.
        batch: Images a batch.
        stride: The network's largest.
    """
    return {
        "img_path": images,
        "imgsz": args.imgsz,
        "batch_size": batch,
        "augment": True,
        "hyp": args,
        "rect": args.rect,
        "cache": args.cache or None,
        "single_cls": args.single_cls or False,
        "stride": stride,
        "pad": 0.0,
        "prefix": colorstr("train: "),
        "task": args.task,
        "classes": args.classes,
        "data": data,
        "fraction": args.fraction,
    }


def _keep_kinds_apart(transforms: Any) -> None:
    """Replace each mosaic, however deep it lies, by one that keeps kinds apart."""
    for place, transform in enumerate(transforms.transforms):
        if type(transform) is Mosaic:
            transforms.transforms[place] = _KindredMosaic(
                transform.dataset, imgsz=transform.imgsz, p=transform.p, n=transform.n
            )
        elif hasattr(transform, "transforms"):
            _keep_kinds_apart(transform)
