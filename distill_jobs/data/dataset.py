"""A detection data set in YOLO form: `data.yaml`, images, and one label file an image."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from distill_jobs.data import labels as label_files
from distill_jobs.errors import DataSetInvalid

SPLITS = ("train", "val", "test")
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


@dataclass(frozen=True)
class Sample:
    """One image and where its labels lie.

    Attributes:
        image: The image file.
        labels: Its label file, or None: an image without one shows no object.
        class_count: How many classes the data set has; class ids are below it.
        labelled: False where nobody wrote down what the image shows: no label file then means that
            nothing is known, not that there is nothing.
    """

    image: Path
    labels: Path | None
    class_count: int
    labelled: bool = True

    def read_labels(self, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """Read the objects of this image.

        Args:
            width: Of the upright image, pixels: as decoded with its EXIF orientation applied, which
                is how ultralytics trains on it and workers answer for it. The size that a file's
                header announces has the two swapped where a camera was held on its side.
            height: Likewise.

        Returns:
            Class ids, int64 [K], and boxes_xyxy_px, float32 [K, 4]: corners in pixels.

        Raises:
            DataSetInvalid: A row is not `class cx cy w h`, or breaks its limits.
        """
        if self.labels is None:
            return np.zeros(0, np.int64), np.zeros((0, 4), np.float32)
        class_ids, boxes = label_files.read(self.labels, self.class_count)
        centre, half = boxes[:, :2], boxes[:, 2:] / 2
        corners = np.concatenate((centre - half, centre + half), axis=1)
        scale = np.array([width, height, width, height], np.float32)
        return class_ids, np.clip(corners, 0.0, 1.0).astype(np.float32) * scale


@dataclass(frozen=True)
class Dataset:
    """A data set whose files were found; each sample reads its own labels.

    Attributes:
        path: Its `data.yaml`.
        class_names: Index = class id.
        splits: Samples by split, sorted by path.
    """

    path: Path
    class_names: tuple[str, ...]
    splits: dict[str, tuple[Sample, ...]]

    @classmethod
    def load(cls, path: Path) -> "Dataset":
        """Find the images and labels that a `data.yaml` names.

        Args:
            path: The yaml file. Without a `path:` line its own folder is the root. An `unlabelled:`
                line, as a run's working copy has it, names a list of those images of its splits
                whose objects nobody wrote down.

        Returns:
            The data set.

        Raises:
            DataSetInvalid: The yaml, a folder, or every image or label of a split is missing.
        """
        path = Path(path)
        content = _read_yaml(path)
        names = _class_names(path, content)
        root = (path.parent / str(content.get("path") or ".")).resolve()
        unlabelled = _unlabelled(path, root, content.get("unlabelled"))
        splits = {
            split: _samples(
                path, root, split, content[split], class_count=len(names), unlabelled=unlabelled
            )
            for split in SPLITS
            if content.get(split)
        }
        if "train" not in splits and "val" not in splits and "test" not in splits:
            raise DataSetInvalid(path, "names no split: give `train:`, `val:` or `test:`")
        return cls(path, names, splits)

    @property
    def held_out_split(self) -> str:
        """Which split quality is measured on: "test", or "val" where there is none."""
        return "test" if "test" in self.splits else "val"

    def split(self, name: str) -> tuple[Sample, ...]:
        """Return the samples of a split ("train", "val" or "test").

        Raises:
            DataSetInvalid: The data set has no such split.
        """
        if name not in self.splits:
            has = ", ".join(self.splits)
            raise DataSetInvalid(self.path, f"has no {name!r} split, only {has}; add `{name}:`")
        return self.splits[name]


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataSetInvalid(path, "no such data set file") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataSetInvalid(path, f"not a YAML file: {error}") from error
    if not isinstance(content, dict):
        raise DataSetInvalid(path, "must hold `train:`, `val:`, `test:` and `names:`")
    return content


def _class_names(path: Path, content: dict[str, Any]) -> tuple[str, ...]:
    names = content.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise DataSetInvalid(path, "`names:` must list at least one class")
    if set(names) != set(range(len(names))):
        raise DataSetInvalid(
            path, f"`names:` must number the classes 0 to {len(names) - 1}, not {list(names)}"
        )
    told = tuple(str(names[index]) for index in range(len(names)))
    for name in told:
        if told.count(name) > 1:
            raise DataSetInvalid(
                path, f"`names:` has {name!r} twice: a class has a name of its own"
            )
    return told


def _samples(
    path: Path,
    root: Path,
    split: str,
    entry: object,
    *,
    class_count: int,
    unlabelled: frozenset[Path],
) -> tuple[Sample, ...]:
    entries = entry if isinstance(entry, list) else [entry]
    images = [image for one in entries for image in _images(path, root, split, str(one))]
    if not images:
        wanted = ", ".join(sorted(IMAGE_SUFFIXES))
        raise DataSetInvalid(path, f"`{split}: {entry}` holds no image ({wanted})")
    if split != "train" and (unknown := sorted(unlabelled.intersection(images))):
        raise DataSetInvalid(
            path,
            f"`{split}: {entry}` holds {unknown[0]}, which `unlabelled:` lists: nothing can be "
            "measured on an image whose objects nobody wrote down",
        )
    samples = tuple(
        Sample(image, None, class_count, labelled=False)
        if image in unlabelled
        else Sample(image, _labels_of(image), class_count)
        for image in sorted(set(images))
    )
    if all(sample.labels is None for sample in samples):
        expected = label_files.path_of(samples[0].image)
        raise DataSetInvalid(
            path,
            f"`{split}: {entry}`: none of its {len(samples)} images has a label file; "
            f"expected for example {expected}",
        )
    return samples


def _images(path: Path, root: Path, split: str, entry: str) -> list[Path]:
    try:
        return images_in(root / entry)
    except NotADirectoryError as error:
        raise DataSetInvalid(path, f"`{split}: {entry}`: {error}") from error


def images_in(place: Path) -> list[Path]:
    """Find images.

    Args:
        place: A folder, searched to its depths, or a list (.txt): one path a line, relative to it.

    Raises:
        NotADirectoryError: It is neither.
        DataSetInvalid: The list is no text, or names a file that is not there.
    """
    if place.is_dir():
        return [file for file in place.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES]
    if place.is_file() and place.suffix == ".txt":
        return _listed_images(place)
    raise NotADirectoryError(f"{place} is neither a folder of images nor a list (.txt)")


def _unlabelled(path: Path, root: Path, entry: object) -> frozenset[Path]:
    return frozenset(_images(path, root, "unlabelled", str(entry))) if entry else frozenset()


def _listed_images(listing: Path) -> list[Path]:
    images = []
    try:
        lines = listing.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataSetInvalid(listing, "is no text in UTF-8: save it as such") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        image = listing.parent / line.strip()
        if not image.is_file():
            raise DataSetInvalid(listing, f"no such image: {image}", line=number)
        images.append(image)
    return images


def _labels_of(image: Path) -> Path | None:
    labels = label_files.path_of(image)
    return labels if labels.is_file() else None
