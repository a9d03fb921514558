"""Decoding a frame and fitting it to the model's input."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handlers.card import Input
from handlers.errors import BadFrame
from handlers.headers import inspect

__all__ = ["BadFrame", "Geometry", "decode", "letterbox"]

MAX_PIXELS = 50_000_000


@dataclass(frozen=True)
class Geometry:
    """Where a frame lies in the model's input; input = original * scale + offset, axis by axis.

    Attributes:
        width: Of the original image, in pixels.
        height: Of the original image, in pixels.
        scale_x: Input pixels per original pixel. Each side is rounded to whole pixels, so the two
            scales differ a little.
        scale_y: Likewise.
        left: Border before the image, in input pixels.
        top: Likewise.
    """

    width: int
    height: int
    scale_x: float
    scale_y: float
    left: int
    top: int


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


def letterbox(
    image: NDArray[np.uint8], spec: Input, out: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.float32], Geometry]:
    """Scale an image into the middle of the model's input, its aspect kept, grey around it.

    Rounds as ultralytics' `LetterBox` (centred, INTER_LINEAR) does, so that accuracy measured there
    holds here.

    Args:
        image: uint8 [H, W, 3], RGB.
        spec: The input to fit.
        out: float32 [3, height, width] to write into: a batch's slot.

    Returns:
        The input (`out`, if it was given), float32 [3, height, width], levels times `spec.scale`;
        and where the image lies in it.
    """
    height, width = image.shape[:2]
    ratio = min(spec.height / height, spec.width / width)
    if not spec.letterbox_scale_up:
        ratio = min(ratio, 1.0)
    inner_width, inner_height = max(round(width * ratio), 1), max(round(height * ratio), 1)
    # Less 0.1: an odd border's spare pixel goes right and down.
    left = round((spec.width - inner_width) / 2 - 0.1)
    top = round((spec.height - inner_height) / 2 - 0.1)
    if (inner_width, inner_height) != (width, height):
        size = (inner_width, inner_height)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    if out is None:
        out = np.empty((3, spec.height, spec.width), np.float32)
    _place(image, out, spec.letterbox_pad, left, top)
    out *= np.float32(spec.scale)
    geometry = Geometry(width, height, inner_width / width, inner_height / height, left, top)
    return out, geometry


def _place(
    image: NDArray[np.uint8], out: NDArray[np.float32], pad: int, left: int, top: int
) -> None:
    right, bottom = left + image.shape[1], top + image.shape[0]
    out[:, :top] = pad
    out[:, bottom:] = pad
    out[:, top:bottom, :left] = pad
    out[:, top:bottom, right:] = pad
    # Plane by plane: cv2.split and three plain copies beat one strided pass over [H, W, 3].
    for plane, levels in zip(out, cv2.split(image), strict=True):
        plane[top:bottom, left:right] = levels
