"""Which way a camera was held: the orientation in an EXIF segment, as OpenCV reads it.

An EXIF segment is "Exif", two zero bytes and a TIFF file whose first directory has the orientation
under tag 0x0112 (CIPA DC-008, section 4.6).
"""

from collections.abc import Iterable
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

_START = b"Exif\0\0"
_TIFF = 42
_ORIENTATION = 0x0112
_UPRIGHT = 1
# cv2.flip's code for each orientation; from 5 on rows and columns are swapped first.
_FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}
_FIRST_SWAPPED = 5


def orientation_in(segments: Iterable[bytes | bytearray]) -> int:
    """Return the orientation, 1 to 8, that the first EXIF segment with one names; 1 without.

    Args:
        segments: Contents of a JPEG's APP1 segments, some of which hold XMP or other things.
    """
    for segment in segments:
        orientation = _orientation(segment[len(_START) :]) if segment.startswith(_START) else None
        if orientation is not None:
            return orientation if 1 <= orientation <= 8 else _UPRIGHT
    return _UPRIGHT


def is_turned(orientation: int) -> bool:
    """Whether upright rows are the stored columns."""
    return orientation >= _FIRST_SWAPPED


def upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn a stored image, uint8 [H, W, 3], as its orientation says."""
    if is_turned(orientation):
        image = np.asarray(cv2.transpose(image), np.uint8)
    flip = _FLIPS.get(orientation)
    return image if flip is None else np.asarray(cv2.flip(image, flip), np.uint8)


def _orientation(tiff: bytes | bytearray) -> int | None:
    order: Literal["little", "big"] = "little" if tiff.startswith(b"II") else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], order)

    if number(2, 2) != _TIFF:
        return None
    first = number(4, 4)
    for at in range(first + 2, first + 2 + 12 * number(first, 2), 12):
        if at + 10 > len(tiff):
            break
        if number(at, 2) == _ORIENTATION:
            return number(at + 8, 2)
    return None
