"""Reads a gateway's harvest: frames on which two arms disagreed.

    HARVEST/ROUTE-CLASSES/data.yaml
    HARVEST/ROUTE-CLASSES/images/{train,val}/FRAME.jpg
    HARVEST/ROUTE-CLASSES/labels/{train,val}/FRAME.txt
    HARVEST/ROUTE-CLASSES/answers/{train,val}/FRAME.json

A frame whose image is there is whole: its image is written last. The folder's own splits mean
nothing here: a harvested frame is trained on or left out, and never measured on.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from distill_jobs.data.dataset import IMAGE_SUFFIXES
from distill_jobs.errors import DataSetInvalid


@dataclass(frozen=True)
class HarvestFrame:
    """One frame and what is known of it.

    Attributes:
        image: The picture as the camera sent it.
        labels: One arm's answer as a YOLO label file: an answer, not the truth.
        class_names: Of the labels; index = class id.
        camera: As the camera named itself; "" where it did not.
        at: When both arms had answered, ISO 8601, UTC; "" where nobody knows.
        agreement_f1: Of the two arms, 0 to 1; 1 where nobody knows.
        labelled_by: Role of the arm whose answer the labels are: "teacher", "student" or "".
    """

    image: Path
    labels: Path
    class_names: tuple[str, ...]
    camera: str
    at: str
    agreement_f1: float
    labelled_by: str

    @property
    def name(self) -> str:
        """Its name: of the data set it lies in, and of its file."""
        return f"{self.image.parents[2].name}/{self.image.name}"


def read_harvest(harvest: Path, wanted: Sequence[str]) -> list[HarvestFrame]:
    """Read all whole frames whose labels speak of the classes wanted.

    Args:
        harvest: The harvest's folder, or one of its data sets.
        wanted: Class names of the job; a harvest of other classes is another model's.

    Returns:
        The frames, by data set and name.

    Raises:
        DataSetInvalid: There is no harvest, or all of it is of other classes.
    """
    descriptions = sorted({*harvest.glob("data.yaml"), *harvest.glob("*/data.yaml")})
    if not descriptions:
        raise DataSetInvalid(
            harvest,
            "holds no harvest (FOLDER/ROUTE-CLASSES/data.yaml): give the folder that the gateways "
            "write to, `understudy serve --harvest-dir`",
        )
    frames: list[HarvestFrame] = []
    others: list[str] = []
    for description in descriptions:
        names = _class_names(description)
        if set(names) <= set(wanted):
            frames.extend(_frames(description.parent, names))
        else:
            others.append(f"{description.parent.name} ({', '.join(names[:4])})")
    if others and not frames:
        raise DataSetInvalid(
            harvest,
            f"its frames are labelled in other classes than the job's ({', '.join(wanted[:6])}): "
            f"{'; '.join(others[:3])}. Give the harvest of a route that serves this job's models",
        )
    return frames


def _class_names(description: Path) -> tuple[str, ...]:
    try:
        names: Any = yaml.safe_load(description.read_text(encoding="utf-8"))["names"]
        if isinstance(names, dict):
            return tuple(str(names[place]) for place in range(len(names)))
        return tuple(str(name) for name in names)
    except (OSError, yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise DataSetInvalid(description, "is no data.yaml with `names:`") from error


def _frames(data_set: Path, names: tuple[str, ...]) -> list[HarvestFrame]:
    images = sorted(
        image
        for image in (data_set / "images").glob("*/*")
        if image.suffix.lower() in IMAGE_SUFFIXES and not image.name.startswith(".")
    )
    return [_frame(data_set, image, names) for image in images]


def _frame(data_set: Path, image: Path, names: tuple[str, ...]) -> HarvestFrame:
    split = image.parent.name
    said = _answers(data_set / "answers" / split / f"{image.stem}.json")
    source = said.get(str(said.get("labels_from", "")), {})
    agreement = said.get("agreement", {})
    f1 = agreement.get("f1") if isinstance(agreement, dict) else None
    return HarvestFrame(
        image=image,
        labels=data_set / "labels" / split / f"{image.stem}.txt",
        class_names=names,
        camera=str(said.get("camera_id", "")),
        at=str(said.get("at", "")),
        agreement_f1=float(f1) if isinstance(f1, int | float) else 1.0,
        labelled_by=str(source.get("role", "")) if isinstance(source, dict) else "",
    )


def _answers(path: Path) -> dict[str, Any]:
    """Read what both arms said; a frame without it is a frame all the same."""
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
