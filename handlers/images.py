"""Decoding a frame."""

import cv2
import numpy as np
from numpy.typing import NDArray

from handlers.card import Input
from handlers.errors import BadFrame
from handlers.fitting import Fit
from handlers.headers import Header, JpegHeader, PngHeader, inspect, still
from handlers.jpeg import decode_jpeg

__all__ = ["BadFrame", "decode", "decode_to_fit"]

MAX_PIXELS = 50_000_000
# Decoding takes the picture, and a decoder's own buffers of twice its size (WebP: three channels of
# its own and four of its answer).
_DECODING = 3


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
        MemoryError: There is not enough for it.
    """
    header = _inspect(data, max_pixels)
    image = decode_jpeg(data, header) if isinstance(header, JpegHeader) else None
    return _decode_by_opencv(data, header) if image is None else image


def decode_to_fit(
    data: bytes | bytearray, spec: Input, *, max_pixels: int = MAX_PIXELS
) -> tuple[NDArray[np.uint8], Fit]:
    """Decode an image for a model's input; a large JPEG at a reduced scale, which is faster.

    Args:
        data: As `decode` takes it.
        spec: The input.
        max_pixels: Likewise.

    Returns:
        uint8 [H, W, 3], RGB, upright, of the original's size or at least of its size in the input;
        and how the original is fitted.

    Raises:
        BadFrame: As `decode`.
        MemoryError: As `decode`.
    """
    header = _inspect(data, max_pixels)
    if isinstance(header, JpegHeader):
        fit = Fit.of(*header.upright_size, spec)
        image = decode_jpeg(data, header, least=(fit.inner_width, fit.inner_height))
        if image is not None:
            return image, fit
    image = _decode_by_opencv(data, header)
    return image, Fit.of(image.shape[1], image.shape[0], spec)


def _inspect(data: bytes | bytearray, max_pixels: int) -> Header:
    if not data:
        raise BadFrame("empty_body", "image: is empty; send a JPEG, PNG or WebP image")
    size = inspect(data)
    if size.width * size.height > max_pixels:
        raise BadFrame(
            "image_too_large",
            f"image: {size.width}x{size.height} is {size.width * size.height} pixels, "
            f"more than the limit of {max_pixels}; send it scaled down",
        )
    return size


def _decode_by_opencv(data: bytes | bytearray, header: Header) -> NDArray[np.uint8]:
    if isinstance(header, PngHeader) and header.animated:
        data = still(data)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:  # OpenCV's own limits, e.g. 2^20 pixels a side
        image = None
    if image is None:
        _must_have_memory(header)
        raise BadFrame(
            "not_an_image", "image: its contents are damaged and do not decode; encode it again"
        )
    return np.asarray(image, np.uint8)


def _must_have_memory(header: Header) -> None:
    """Raise MemoryError where that is why OpenCV did not decode: it does not tell one from damage.

    The pages are asked for and never touched.
    """
    np.empty(_DECODING * 3 * header.width * header.height, np.uint8)
