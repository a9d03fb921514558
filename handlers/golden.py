"""The card's golden frames: does a variant here answer as it did where the archive was built?

The same rule as serving's before a release takes traffic (serving.controlplane.golden; a test holds
the two together): of each class as many pairs of boxes as can be within the variant's tolerance,
counted over all frames as F1.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handlers.card import FILE_NAME
from handlers.errors import CardError
from handlers.fields import Fields
from handlers.frames import Detections

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Boxes:
    """Detections that are compared.

    Attributes:
        corners_px: float64 [N, 4], x1, y1, x2, y2 in pixels of the original image.
        class_ids: int64 [N].
        scores: float64 [N], 0 to 1.
    """

    corners_px: Floats
    class_ids: NDArray[np.int64]
    scores: Floats

    @classmethod
    def found(cls, answer: Detections) -> "Boxes":
        """Return what a pipeline has found."""
        corners, scores = answer.boxes_xyxy_px, answer.scores
        return cls(corners.astype(np.float64), answer.class_ids, scores.astype(np.float64))

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class Tolerance:
    """How far a variant's detections may lie from the card's.

    Attributes:
        min_iou: Two boxes of one class match at this IoU or above.
        max_score_difference: Their scores may differ by this much.
        min_f1: F1 that must be reached over all frames.
    """

    min_iou: float
    max_score_difference: float
    min_f1: float


@dataclass(frozen=True, eq=False)
class GoldenFrame:
    """One frame.

    Attributes:
        image: Encoded.
        expected: What it must give.
    """

    image: bytes
    expected: Boxes


@dataclass(frozen=True)
class Golden:
    """What a card says of its golden frames.

    Attributes:
        frames: None at all where none shows anything: it could tell nobody right or wrong.
        tolerances: By variant name; a variant without one is not among them.
    """

    frames: tuple[GoldenFrame, ...]
    tolerances: Mapping[str, Tolerance]

    @classmethod
    def read(cls, folder: Path) -> "Golden":
        """Read them from an extracted archive.

        Raises:
            CardError: The card cannot be read, or names a frame that is not there.
        """
        try:
            root = Fields(FILE_NAME, json.loads((folder / FILE_NAME).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise CardError(f"{FILE_NAME}: cannot be read from the archive: {error}") from error
        variants = [one for one in root.each("variants") if one.has("tolerance")]
        tolerances = {one.text("name"): _tolerance(one.inner("tolerance")) for one in variants}
        frames = tuple(_frame(folder, one) for one in root.some("golden_frames"))
        shown = any(len(frame.expected) for frame in frames)
        return cls(frames if shown else (), tolerances)


def f1(frames: Sequence[GoldenFrame], answers: Sequence[Boxes], tolerance: Tolerance) -> float:
    """Return 2 pairs / (expected + given) over all frames; 1 where neither has a box.

    Args:
        frames: What was asked.
        answers: One a frame.
        tolerance: Of the variant that answered.
    """
    boxes = pairs = 0
    for frame, answer in zip(frames, answers, strict=True):
        boxes += len(frame.expected) + len(answer)
        pairs += _pairs(_allowed(frame.expected, answer, tolerance))
    return 2 * pairs / boxes if boxes else 1.0


def _allowed(wanted: Boxes, given: Boxes, tolerance: Tolerance) -> NDArray[np.bool_]:
    """Return bool [A, B]: which boxes are of one class and within the tolerance."""
    differences = np.abs(wanted.scores[:, None] - given.scores[None, :])
    allowed: NDArray[np.bool_] = wanted.class_ids[:, None] == given.class_ids[None, :]
    allowed &= differences <= tolerance.max_score_difference
    allowed &= _iou(wanted.corners_px, given.corners_px) >= tolerance.min_iou
    return allowed


def _pairs(allowed: NDArray[np.bool_]) -> int:
    """Count the most pairs that can be made, each row and column in one at most."""
    row_of: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for column in map(int, np.flatnonzero(allowed[row])):
            if column in tried:
                continue
            tried.add(column)
            if column not in row_of or place(row_of[column], tried):
                row_of[column] = row
                return True
        return False

    return sum(place(row, set()) for row in range(len(allowed)))


def _iou(first: Floats, second: Floats) -> Floats:
    a, b = first[:, None, :], second[None, :, :]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.clip(sides, 0, None).prod(axis=-1)
    union = _areas(a) + _areas(b) - shared
    overlaps: Floats = np.zeros_like(shared)
    np.divide(shared, union, out=overlaps, where=union > 0)
    return overlaps


def _areas(corners: Floats) -> Floats:
    areas: Floats = np.clip(corners[..., 2:] - corners[..., :2], 0, None).prod(axis=-1)
    return areas


def _tolerance(fields: Fields) -> Tolerance:
    return Tolerance(
        min_iou=fields.number("min_iou", 0, 1),
        max_score_difference=fields.number("max_score_difference", 0, 1),
        min_f1=fields.number("min_f1", 0, 1),
    )


def _frame(folder: Path, fields: Fields) -> GoldenFrame:
    file = folder / fields.text("file")
    try:
        if not file.resolve().is_relative_to(folder.resolve()):
            raise fields.fail("file", "a path inside the archive")
        image = file.read_bytes()
    except OSError as error:
        raise CardError(f"golden frame {file.name}: cannot be read: {error}") from error
    boxes = fields.some("detections")
    far = 1e9
    corners = [[box.number(side, -far, far) for side in ("x1", "y1", "x2", "y2")] for box in boxes]
    return GoldenFrame(
        image,
        Boxes(
            np.array(corners, np.float64).reshape(-1, 4),
            np.array([_class_id(box) for box in boxes], np.int64),
            np.array([box.number("score", 0, 1) for box in boxes], np.float64),
        ),
    )


def _class_id(fields: Fields) -> int:
    return fields.check("class_id", int, lambda value: value >= 0, "a whole number from 0")
