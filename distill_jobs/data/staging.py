"""A working copy of a data set, where ultralytics may write its label caches.

Ultralytics writes `labels/SPLIT.cache` beside the labels and rewrites JPEG files that do not end as
they should; a user's data set must stay as it was. So labels are copied and images linked.
"""

import shutil
from pathlib import Path

import cv2
import yaml

from distill_jobs.data.dataset import SPLITS, Dataset
from distill_jobs.data.intake import Intake
from distill_jobs.data.picture import pixels_of
from distill_jobs.data.piece import Piece, label_text
from distill_jobs.data.unlabelled import UNLABELLED
from distill_jobs.errors import DataSetInvalid
from distill_jobs.files import write_atomically

UNLABELLED_LIST = "unlabelled.txt"
_TRAINED_ON = ("train", "val")


def stage(intake: Intake, folder: Path) -> Dataset:
    """Make the working copy of what is taken in, in the classes and splits of the job.

    The unlabelled images lie in the train split, after the labelled ones and without a label file;
    `unlabelled.txt` lists them, paths from the folder on, one a line.

    Args:
        intake: What is used; it needs a train and a val split.
        folder: Gets `images/`, `labels/` and `data.yaml`; emptied first.

    Returns:
        The working copy.

    Raises:
        DataSetInvalid: A split is missing.
    """
    for split in _TRAINED_ON:
        if not intake.split(split):
            intake.source.split(split)
            raise DataSetInvalid(intake.source.path, f"no image of the {split} split is left")
    if folder.exists():
        shutil.rmtree(folder)
    splits = tuple(split for split in SPLITS if intake.split(split))
    labelled = {split: intake.split(split) for split in splits}
    for split, pieces in labelled.items():
        for number, piece in enumerate(pieces):
            image = _stage_image(piece, folder, split, number)
            _stage_labels(piece, folder / "labels" / split / f"{image.stem}.txt")
    unlabelled = [
        _stage_image(piece, folder, "train", number)
        for number, piece in enumerate(intake.split(UNLABELLED), start=len(labelled["train"]))
    ]
    return write_description(folder, intake.class_map.names, splits, unlabelled=unlabelled)


def write_description(
    folder: Path,
    class_names: tuple[str, ...],
    splits: tuple[str, ...],
    *,
    unlabelled: list[Path] | None = None,
) -> Dataset:
    """Write the `data.yaml` of a folder with `images/SPLIT` and `labels/SPLIT`, and load it.

    Args:
        folder: Root of the data set.
        class_names: Index = class id.
        splits: Which it has.
        unlabelled: Those images whose objects nobody wrote down.
    """
    content: dict[str, object] = {split: f"images/{split}" for split in splits}
    if unlabelled:
        lines = (f"{image.relative_to(folder).as_posix()}\n" for image in unlabelled)
        write_atomically(folder / UNLABELLED_LIST, "".join(lines).encode())
        content["unlabelled"] = UNLABELLED_LIST
    content["names"] = dict(enumerate(class_names))
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    write_atomically(folder / "data.yaml", text.encode())
    return Dataset.load(folder / "data.yaml")


def _stage_image(piece: Piece, folder: Path, split: str, number: int) -> Path:
    source, taken = piece.image, piece.picture.taken
    suffix = ".png" if taken == "png" else source.suffix.lower()
    image = folder / "images" / split / f"{number:06d}-{source.stem}{suffix}"
    image.parent.mkdir(parents=True, exist_ok=True)
    if taken == "png":
        _write_png(source, image)
    elif taken == "copy" or piece.split == UNLABELLED:
        # A harvest loses its oldest frames while the job runs: its images are copied.
        shutil.copyfile(source, image)
    else:
        image.symlink_to(source.resolve())
    return image


def _write_png(source: Path, image: Path) -> None:
    pixels = pixels_of(source.read_bytes(), source.suffix.lower())
    _, encoded = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    image.write_bytes(encoded.tobytes())


def _stage_labels(piece: Piece, labels: Path) -> None:
    labels.parent.mkdir(parents=True, exist_ok=True)
    if piece.find.labels is None:
        return
    if piece.as_is:
        shutil.copyfile(piece.find.labels, labels)
    else:
        labels.write_text(label_text(piece.rows), encoding="utf-8")
