"""One shard labelled: frame after frame, then one file, whole or not at all."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distill_jobs.data.picture import PictureRefused, look_at
from distill_jobs.errors import DataSetInvalid
from distill_jobs.files import write_atomically
from distill_jobs.labelling.asked import Labeller, labeller
from distill_jobs.labelling.plan import LabelFolder, Plan, Shard

# A thousandth of a pixel, and of a score a hundred-thousandth: what arithmetic is good for.
_BOX_DIGITS, _SCORE_DIGITS = 3, 5


@dataclass(frozen=True)
class Counts:
    """What has become of frames.

    Attributes:
        frames: All of them.
        broken: Those that are no picture.
        objects: What the teacher found in the others.
    """

    frames: int = 0
    broken: int = 0
    objects: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.frames + other.frames, self.broken + other.broken, self.objects + other.objects
        )


def label_shard(folder: LabelFolder, plan: Plan, shard: Shard) -> Counts:
    """Label a shard and keep its labels; one that is finished is only counted.

    Raises:
        JobError: The teacher cannot be used here, or the folder not be written to.
    """
    file = folder.shard_file(shard.number)
    finished = counted(file)
    if finished is not None:
        return finished
    teacher = labeller(plan.asked)
    lines = [_labelled(image, teacher) for image in folder.images(shard)]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    try:
        write_atomically(file, text.encode())
    except OSError as error:
        raise DataSetInvalid(file, f"cannot be written: {error.strerror}") from error
    return _counts(lines)


def counted(file: Path) -> Counts | None:
    """Return what a finished shard holds; None where it is not finished."""
    try:
        with file.open(encoding="utf-8") as lines:
            return _counts([json.loads(line) for line in lines])
    except FileNotFoundError:
        return None


def _labelled(image: Path, teacher: Labeller) -> dict[str, Any]:
    """Return a frame's record, or why it has none."""
    try:
        # What a job's data set would be refused for.
        picture = look_at(image)
        found = teacher.find(image)
    except PictureRefused as refused:
        return {"path": str(image), "broken": str(refused)}
    except DataSetInvalid:
        return {"path": str(image), "broken": "is not an image that can be opened"}
    boxes = np.round(found.boxes_xyxy_px.astype(np.float64), _BOX_DIGITS)
    kept = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    scores = np.round(found.scores.astype(np.float64), _SCORE_DIGITS)
    return {
        "path": str(image),
        "sha256": picture.file_sha256,
        "boxes_xyxy_px": boxes[kept].tolist(),
        "scores": scores[kept].tolist(),
        "classes": [teacher.class_names[class_id] for class_id in found.class_ids[kept]],
    }


def _counts(lines: list[dict[str, Any]]) -> Counts:
    return Counts(
        frames=len(lines),
        broken=sum("broken" in line for line in lines),
        objects=sum(len(line.get("scores", ())) for line in lines),
    )
