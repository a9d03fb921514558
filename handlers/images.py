"""Decoding a frame."""

import cv2
import numpy as np
from numpy.typing import NDArray

from handlers.errors import BadFrame
from handlers.headers import inspect

__all__ = ["BadFrame", "decode"]

MAX_PIXELS = 50_000_000


def decode(data: bytes | bytearray, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode a JPEG, PNG or WebP image, turned upright.

    An EXIF orientation is applied, as ultralytics does in training and validation and as every
    viewer does: the picture people see is the one whose pixels the boxes count. Grey becomes three
    equal channels, alpha is dropped, 16 bits become 8, of an animation the first picture is taken.

    Args:
        data: The encoded image; bytes after its end are ignored.
        max_pixels: Most pixels it may announce; checked before anything is allocated.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        BadFrame: "empty_body", "not_an_image", "truncated_image" or "image_too_large".
    """
    if not data:
        raise BadFrame("empty_body", "image: is empty; send a JPEG, PNG or WebP image")
    size = inspect(data)
    if size.width * size.height > max_pixels:
        raise BadFrame(
            "image_too_large",
            f"image: {size.width}x{size.height} is {size.width * size.height} pixels, "
            f"more than the limit of {max_pixels}; send it scaled down",
        )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:  # OpenCV's own limits, e.g. 2^20 pixels a side
        image = None
    if image is None:
        raise BadFrame(
            "not_an_image", "image: its contents are damaged and do not decode; encode it again"
        )
    return np.asarray(image, np.uint8)
