"""A working copy of a data set, where ultralytics may write its label caches.

Ultralytics writes `labels/SPLIT.cache` beside the labels and rewrites JPEG files that do not end as
they should; a user's data set must stay as it was. So labels are copied and images linked.
"""

import shutil
from pathlib import Path

import yaml
from PIL import Image, UnidentifiedImageError

from distill_jobs.data.dataset import Dataset, Sample
from distill_jobs.errors import DataSetInvalid
from distill_jobs.files import write_atomically

_TRAINED_ON = ("train", "val")
_JPEG_END = b"\xff\xd9"
_UNREADABLE = (
    UnidentifiedImageError,
    OSError,
    SyntaxError,  # Pillow's word for a broken PNG
    Image.DecompressionBombError,
    # Once ultralytics is imported, Image.open asks an unknown file of a plugin that is not here.
    ModuleNotFoundError,
)


def stage(source: Dataset, folder: Path) -> Dataset:
    """Make the working copy of the splits that training reads.

    Args:
        source: The checked data set; it needs a train and a val split.
        folder: Gets `images/`, `labels/` and `data.yaml`; emptied first.

    Returns:
        The working copy.

    Raises:
        DataSetInvalid: A split is missing, or an image cannot be opened.
    """
    for split in _TRAINED_ON:
        source.split(split)
    if folder.exists():
        shutil.rmtree(folder)
    for split in _TRAINED_ON:
        for number, sample in enumerate(source.split(split)):
            _stage_sample(sample, folder, split, f"{number:06d}-{sample.image.stem}")
    return write_description(folder, source.class_names, _TRAINED_ON)


def write_description(
    folder: Path, class_names: tuple[str, ...], splits: tuple[str, ...]
) -> Dataset:
    """Write the `data.yaml` of a folder with `images/SPLIT` and `labels/SPLIT`, and load it."""
    content = {
        **{split: f"images/{split}" for split in splits},
        "names": dict(enumerate(class_names)),
    }
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    write_atomically(folder / "data.yaml", text.encode())
    return Dataset.load(folder / "data.yaml")


def _stage_sample(sample: Sample, folder: Path, split: str, name: str) -> None:
    image = folder / "images" / split / f"{name}{sample.image.suffix.lower()}"
    image.parent.mkdir(parents=True, exist_ok=True)
    if _opens_cleanly(sample.image):
        image.symlink_to(sample.image.resolve())
    else:
        shutil.copyfile(sample.image, image)
    labels = folder / "labels" / split / f"{name}.txt"
    labels.parent.mkdir(parents=True, exist_ok=True)
    if sample.labels is not None:
        shutil.copyfile(sample.labels, labels)


def _opens_cleanly(path: Path) -> bool:
    """Return whether ultralytics would leave the file alone.

    Raises:
        DataSetInvalid: It is no image.
    """
    try:
        with Image.open(path) as image:
            image.verify()
            is_jpeg = image.format == "JPEG"
    except _UNREADABLE as error:
        raise DataSetInvalid(path, "not an image that can be opened: mend or remove it") from error
    if not is_jpeg:
        return True
    with path.open("rb") as file:
        file.seek(-len(_JPEG_END), 2)
        return file.read() == _JPEG_END
