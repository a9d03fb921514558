"""A sheet of almost equal pictures, pair by pair, for people to judge."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from distill_jobs.data.duplicates import Pair, Shown
from distill_jobs.data.picture import pixels_of
from distill_jobs.files import write_atomically

_CELL_PX, _BAR_PX, _GAP_PX = 240, 22, 6
_PAPER, _INK = 250, (40, 40, 40)
_MAX_ROWS = 12


def write_pair_sheet(path: Path, pairs: Sequence[Pair]) -> None:
    """Write a JPEG: a row a pair, at most 12, each picture under its split, name and distance.

    Args:
        path: The JPEG.
        pairs: The closest first; at least one.
    """
    rows = [_row(pair) for pair in pairs[:_MAX_ROWS]]
    bgr = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])
    write_atomically(path, encoded.tobytes())


def _row(pair: Pair) -> npt.NDArray[np.uint8]:
    pictures = [_small(end) for end in (pair.one, pair.other)]
    height = _BAR_PX + max(picture.shape[0] for picture in pictures)
    row = np.full((height, 2 * _CELL_PX + _GAP_PX, 3), _PAPER, np.uint8)
    notes = ("", f"{pair.bits} of 64 bits")
    for place, (shown, picture, note) in enumerate(
        zip((pair.one, pair.other), pictures, notes, strict=True)
    ):
        left = place * (_CELL_PX + _GAP_PX)
        row[_BAR_PX : _BAR_PX + picture.shape[0], left : left + picture.shape[1]] = picture
        # OpenCV's fonts are ASCII alone.
        title = f"{shown.split} {shown.image.stem[-22:]} {note}".encode("ascii", "replace").decode()
        font, at = cv2.FONT_HERSHEY_SIMPLEX, (left + 3, 15)
        cv2.putText(row, title, at, font, 0.36, _INK, 1, cv2.LINE_AA)
    return row


def _small(shown: Shown) -> npt.NDArray[np.uint8]:
    pixels = pixels_of(shown.image.read_bytes(), shown.image.suffix.lower())
    scale = _CELL_PX / max(pixels.shape[:2])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
