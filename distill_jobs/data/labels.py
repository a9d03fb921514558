"""YOLO label files: one row an object, `class cx cy w h`, as fractions of the image."""

from pathlib import Path

import numpy as np

from distill_jobs.errors import DataSetInvalid

_TOLERANCE = 1e-4  # tools write six decimals, so a box on the border may stick out by rounding


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
    try:
        rows = path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise DataSetInvalid(path, "not a readable label file") from error
    class_ids: list[int] = []
    boxes: list[list[float]] = []
    for line, row in enumerate(rows, start=1):
        if row.strip():
            class_id, box = _row(path, line, row.split(), class_count)
            class_ids.append(class_id)
            boxes.append(box)
    return np.array(class_ids, np.int64), np.array(boxes, np.float32).reshape(-1, 4)


def _row(path: Path, line: int, values: list[str], class_count: int) -> tuple[int, list[float]]:
    try:
        numbers = [float(value) for value in values]
    except ValueError as error:
        raise DataSetInvalid(path, f"not numbers: {' '.join(values)!r}", line=line) from error
    if len(numbers) != 5 and (len(numbers) < 7 or len(numbers) % 2 == 0):
        raise DataSetInvalid(
            path, f"a row is `class cx cy w h`, 5 values; this one has {len(numbers)}", line=line
        )
    class_id = _class_id(path, line, values[0], numbers[0], class_count)
    for name, value in zip(("cx", "cy", "w", "h"), numbers[1:], strict=False):
        _check_fraction(path, line, name if len(numbers) == 5 else "polygon point", value)
    box = numbers[1:] if len(numbers) == 5 else _bounding_box(path, line, numbers[1:])
    if box[2] <= 0 or box[3] <= 0:
        raise DataSetInvalid(
            path, f"w and h must be above 0, not {box[2]:g} and {box[3]:g}", line=line
        )
    return class_id, [min(max(value, 0.0), 1.0) for value in box]


def _class_id(path: Path, line: int, text: str, number: float, class_count: int) -> int:
    if not number.is_integer() or not 0 <= number < class_count:
        raise DataSetInvalid(
            path,
            f"class id {text} is out of range: the data set names {class_count} classes, "
            f"0 to {class_count - 1}",
            line=line,
        )
    return int(number)


def _check_fraction(path: Path, line: int, name: str, value: float) -> None:
    if not -_TOLERANCE <= value <= 1 + _TOLERANCE:  # also false for NaN
        raise DataSetInvalid(
            path,
            f"{name} is {value:g}, outside 0 to 1: coordinates are fractions of the image's "
            "width and height, not pixels",
            line=line,
        )


def _bounding_box(path: Path, line: int, points: list[float]) -> list[float]:
    for value in points:
        _check_fraction(path, line, "polygon point", value)
    xs, ys = points[0::2], points[1::2]
    left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
