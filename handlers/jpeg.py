"""JPEGs by libjpeg-turbo itself: twice as fast as through OpenCV, and smaller than they are stored.

A JPEG's 8x8 blocks can be decoded to 4x4, 2x2 or 1x1 pixels: at a half, a quarter or an eighth of
its size. Pixels at full size are those that OpenCV gives, byte for byte. What is unusual or damaged
is left to OpenCV, whose answer is then what it always was.
"""

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from handlers.exif import is_turned, upright
from handlers.headers import JpegHeader

# Baseline, extended and progressive Huffman coding; the others are rare, and some are lossless.
_USUAL_CODINGS = frozenset({0xC0, 0xC1, 0xC2})
# What a side may be divided by. Other eighths are decoded without SIMD, slower than the whole size.
_PARTS = (8, 4, 2)


def decode_jpeg(
    data: bytes | bytearray, header: JpegHeader, least: tuple[int, int] | None = None
) -> NDArray[np.uint8] | None:
    """Decode a JPEG and turn it upright.

    Args:
        data: All of it, and perhaps bytes after its end.
        header: What its header says.
        least: Width and height, upright, that the answer must reach where it may be reduced; None
            for the whole size.

    Returns:
        uint8 [H, W, 3], RGB; None for one that OpenCV is to decode.
    """
    if header.coding not in _USUAL_CODINGS or header.bits != 8 or header.channels not in {1, 3}:
        return None
    size = header.width, header.height
    if least is not None:
        size = _reduced(size, least[::-1] if is_turned(header.orientation) else least)
    try:
        image: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, "RGB", min_width=size[0], min_height=size[1]
        )
    except ValueError:  # damaged: libjpeg's warnings are errors here, and OpenCV goes on after them
        return None
    return upright(image, header.orientation) if image.shape == (*size[::-1], 3) else None


def _reduced(size: tuple[int, int], least: tuple[int, int]) -> tuple[int, int]:
    """Return the smallest size that is large enough; a part with a rest would stretch it."""
    width, height = size
    for part in _PARTS:
        if not width % part and not height % part:
            reduced = width // part, height // part
            if reduced[0] >= least[0] and reduced[1] >= least[1]:
                return reduced
    return size
