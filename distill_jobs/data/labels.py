"""YOLO label files: one row an object, `class cx cy w h`, as fractions of the image."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distill_jobs.errors import DataSetInvalid

_TOLERANCE = 1e-4  # tools write six decimals, so a box on the border may stick out by rounding


@dataclass(frozen=True)
class Row:
    """One object.

    Attributes:
        line: 1-based, in its file.
        class_id: Index into the data set's class names.
        box: Centre and size in fractions of the image: cx, cy, w, h, 0 to 1.
        values: The row as it stands in the file, class id first.
    """

    line: int
    class_id: int
    box: tuple[float, ...]
    values: tuple[str, ...]

    @property
    def is_polygon(self) -> bool:
        """Whether the row draws an outline rather than a box."""
        return len(self.values) > 5


@dataclass(frozen=True)
class Rows:
    """A label file's rows.

    Attributes:
        good: What fits.
        bad: Line and reason of each row that does not.
    """

    good: tuple[Row, ...]
    bad: tuple[tuple[int, str], ...]


class _RowRefused(Exception):
    """A row does not fit; the message says why."""


def path_of(image: Path) -> Path:
    """Return where an image's labels lie: the last `images` folder of its path read `labels`."""
    parts = list(image.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def read(path: Path, class_count: int) -> tuple[np.ndarray, np.ndarray]:
    """Read and check a label file.

    A row of more than five values is a polygon, `class x1 y1 x2 y2 x3 y3...`, and stands for its
    bounding box, as in ultralytics.

    Args:
        path: The label file; an empty one means no object.
        class_count: Class ids must be below it.

    Returns:
        Class ids, int64 [K], and boxes as centre and size in fractions of the image,
        float32 [K, 4] (cx, cy, w, h), 0 to 1.

    Raises:
        DataSetInvalid: A row does not fit; the message names line, value and limit.
    """
    rows = read_rows(path, class_count)
    if rows.bad:
        line, why = rows.bad[0]
        raise DataSetInvalid(path, why, line=line)
    class_ids = [row.class_id for row in rows.good]
    boxes = [row.box for row in rows.good]
    return np.array(class_ids, np.int64), np.array(boxes, np.float32).reshape(-1, 4)


def read_rows(path: Path, class_count: int) -> Rows:
    """Read a label file row by row, the broken ones apart.

    Args:
        path: The label file.
        class_count: Class ids must be below it.

    Raises:
        DataSetInvalid: The file cannot be read as text at all.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataSetInvalid(path, "not a readable label file") from error
    good: list[Row] = []
    bad: list[tuple[int, str]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            good.append(_row(number, tuple(line.split()), class_count))
        except _RowRefused as refused:
            bad.append((number, str(refused)))
    return Rows(tuple(good), tuple(bad))


def _row(line: int, values: tuple[str, ...], class_count: int) -> Row:
    try:
        numbers = [float(value) for value in values]
    except ValueError as error:
        raise _RowRefused(f"not numbers: {' '.join(values)!r}") from error
    if len(numbers) != 5 and (len(numbers) < 7 or len(numbers) % 2 == 0):
        raise _RowRefused(f"a row is `class cx cy w h`, 5 values; this one has {len(numbers)}")
    class_id = _class_id(values[0], numbers[0], class_count)
    names = ("cx", "cy", "w", "h") if len(numbers) == 5 else ("polygon point",) * len(numbers[1:])
    for name, value in zip(names, numbers[1:], strict=True):
        _check_fraction(name, value)
    box = numbers[1:] if len(numbers) == 5 else _bounding_box(numbers[1:])
    if box[2] <= 0 or box[3] <= 0:
        raise _RowRefused(f"w and h must be above 0, not {box[2]:g} and {box[3]:g}")
    return Row(line, class_id, tuple(min(max(value, 0.0), 1.0) for value in box), values)


def _class_id(text: str, number: float, class_count: int) -> int:
    if not number.is_integer() or not 0 <= number < class_count:
        raise _RowRefused(
            f"class id {text} is out of range: the data set names {class_count} classes, "
            f"0 to {class_count - 1}"
        )
    return int(number)


def _check_fraction(name: str, value: float) -> None:
    if not -_TOLERANCE <= value <= 1 + _TOLERANCE:  # also false for NaN
        raise _RowRefused(
            f"{name} is {value:g}, outside 0 to 1: coordinates are fractions of the image's "
            "width and height, not pixels"
        )


def _bounding_box(points: list[float]) -> list[float]:
    xs, ys = points[0::2], points[1::2]
    left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
