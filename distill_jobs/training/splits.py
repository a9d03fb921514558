"""A staged data set's splits as ultralytics reads them, without the progress bars it insists on."""

import contextlib
import io
from collections.abc import Mapping
from typing import Any

from ultralytics.data import build_yolo_dataset
from ultralytics.data.dataset import YOLODataset

from distill_jobs.data.dataset import Dataset
from distill_jobs.training.teachers.faculty import Rows
from distill_jobs.training.teachers.taught_dataset import (
    build_training_split,
    training_options,
    unlabelled_names,
)

_LEAST_STRIDE = 32


def describe(data: Dataset) -> dict[str, Any]:
    """Describe a data set as ultralytics' own check would, which looks for fonts online."""
    root = data.path.parent
    names = dict(enumerate(data.class_names))
    return {
        **{split: str(root / "images" / split) for split in ("train", "val")},
        "path": root,
        "yaml_file": str(data.path),
        "names": names,
        "nc": len(names),
        "channels": 3,
    }


def training_split(
    data: Dataset,
    args: Any,
    *,
    batch: int,
    taught: bool,
    boxes: Mapping[str, Rows] | None = None,
    stride: int = _LEAST_STRIDE,
) -> YOLODataset:
    """Build the training split, augmented, with what its label files cannot say.

    Args:
        data: Staged.
        args: Of ultralytics' trainer.
        batch: Images a batch.
        taught: Whether a teacher explains the images that nobody labelled; they are left out
            otherwise.
        boxes: What it carries for teachers, by staged file name.
        stride: The network's largest, pixels.
    """
    described = describe(data)
    options = training_options(args, described, described["train"], batch, stride)
    with contextlib.redirect_stdout(io.StringIO()):
        split = build_training_split(boxes or {}, unlabelled_names(data), options, taught=taught)
        return YOLODataset(**options) if split is None else split


def validation_split(data: Dataset, args: Any, *, batch: int, stride: int = _LEAST_STRIDE) -> Any:
    """Build the validation split in the pictures that a release is measured on, square ones.

    Ultralytics itself would fit them tightly, and judge a network by other pictures than it is
    used for.

    Args:
        data: Staged.
        args: Of ultralytics' trainer.
        batch: Images a batch.
        stride: The network's largest, pixels.
    """
    described = describe(data)
    with contextlib.redirect_stdout(io.StringIO()):
        return build_yolo_dataset(
            args, described["val"], batch, described, mode="val", rect=False, stride=stride
        )
