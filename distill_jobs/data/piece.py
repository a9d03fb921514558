"""One image of a data set on its way in, with what it shows and what is broken about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distill_jobs.data import labels as label_files
from distill_jobs.data.class_map import ClassMap
from distill_jobs.data.duplicates import Shown
from distill_jobs.data.faults import Fault
from distill_jobs.data.labels import Row
from distill_jobs.data.picture import Picture, PictureRefused, look_at
from distill_jobs.errors import DataSetInvalid


@dataclass(frozen=True)
class Find:
    """An image that a data set names, not opened yet.

    Attributes:
        image: Its file.
        labels: Its label file, or None.
        split: Which the data set puts it in; "unlabelled" where nobody wrote down what it shows.
    """

    image: Path
    labels: Path | None
    split: str


@dataclass(frozen=True)
class Piece:
    """An image that is taken in.

    Attributes:
        find: Where it was found.
        split: Where it is used; the data set's own split, unless the job splits anew.
        picture: What it shows.
        rows: Its objects, in the classes of the job.
        as_is: Whether its label file can be taken as it stands.
    """

    find: Find
    split: str
    picture: Picture
    rows: tuple[Row, ...] = ()
    as_is: bool = True

    @property
    def image(self) -> Path:
        """Its file."""
        return self.find.image

    @property
    def shown(self) -> Shown:
        """It, as far as duplicates matter."""
        return Shown(self.image, self.split, self.picture.pixels_sha256, self.picture.look)


@dataclass(frozen=True)
class Looked:
    """What came of looking at one image.

    Attributes:
        find: The image.
        piece: It, ready to be used; None where it is skipped.
        faults: What is broken.
        dropped: Objects that were left out because the job names no class for them.
    """

    find: Find
    piece: Piece | None
    faults: tuple[Fault, ...] = ()
    dropped: int = 0


def examine(find: Find, class_map: ClassMap) -> Looked:
    """Decode an image and read its labels; what is broken is told, not raised.

    A row that does not fit is skipped. Where no row of an image fits, the image is: with no object
    left it would be taught as background.

    Args:
        find: The image.
        class_map: From the label file's classes to the job's.
    """
    try:
        picture = look_at(find.image)
    except PictureRefused as refused:
        return _skipped(find, find.image, str(refused))
    if find.labels is None:
        return Looked(find, Piece(find, find.split, picture))
    try:
        rows = label_files.read_rows(find.labels, len(class_map.sources))
    except DataSetInvalid:
        return _skipped(find, find.labels, "is not a readable label file")
    if rows.bad and not rows.good:
        line, why = rows.bad[0]
        return _skipped(find, find.labels, f"none of its rows fits; line {line}: {why}")
    mapped = _mapped(rows.good, class_map)
    once, repeats = _without_repeats(mapped)
    faults = tuple(
        Fault(find.labels, find.split, why, find.image, line)
        for line, why in sorted((*rows.bad, *repeats))
    )
    as_is = class_map.keeps_all and not faults and not _is_mixed(once)
    piece = Piece(find, find.split, picture, tuple(once), as_is)
    return Looked(find, piece, faults, len(rows.good) - len(mapped))


def _skipped(find: Find, file: Path, why: str) -> Looked:
    return Looked(find, None, (Fault(file, find.split, why, find.image),))


def _without_repeats(rows: Sequence[Row]) -> tuple[list[Row], list[tuple[int, str]]]:
    """Ultralytics trains on one box once, however it is written; so quality counts it once.

    Classes are the job's: what was a car and a truck is one vehicle. Boxes are compared as float32,
    outlines by the box around them, as there.
    """
    first: dict[tuple[int, bytes], int] = {}
    once, repeats = [], []
    for row in rows:
        line = first.setdefault((row.class_id, np.array(row.box, np.float32).tobytes()), row.line)
        if line == row.line:
            once.append(row)
        else:
            repeats.append((row.line, f"repeats line {line}"))
    return once, repeats


def _mapped(rows: Sequence[Row], class_map: ClassMap) -> tuple[Row, ...]:
    targets = ((row, class_map.targets[row.class_id]) for row in rows)
    return tuple(
        Row(row.line, target, row.box, row.values) for row, target in targets if target is not None
    )


def _is_mixed(rows: Sequence[Row]) -> bool:
    """Whether outlines stand beside boxes: ultralytics leaves such an image out."""
    return len({row.is_polygon for row in rows}) > 1


def label_text(rows: Sequence[Row]) -> str:
    """Return a label file with these rows, as boxes where outlines stand beside boxes."""
    mixed = _is_mixed(rows)
    return "".join(
        f"{row.class_id} " + " ".join(_figures(row, as_box=mixed)) + "\n" for row in rows
    )


def _figures(row: Row, *, as_box: bool) -> Sequence[str]:
    if as_box and row.is_polygon:
        return [f"{value:.8g}" for value in row.box]
    return row.values[1:]
