"""One image file, looked at once: does it decode, what does it show, may ultralytics have it."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from scipy.fft import dctn

from handlers.errors import BadFrame
from handlers.headers import PngHeader, inspect
from handlers.images import MAX_PIXELS, decode

_MIN_SIDE_PX = 10  # ultralytics leaves smaller images out
_JPEG_END = b"\xff\xd9"
_HASHED_SIDE_PX, _HASH_SIDE = 32, 8
_UNREADABLE = (
    UnidentifiedImageError,
    OSError,
    SyntaxError,  # Pillow's word for a broken PNG
    ValueError,
    Image.DecompressionBombError,
    # Once ultralytics is imported, Image.open asks an unknown file of a plugin that is not here.
    ModuleNotFoundError,
)


class PictureRefused(Exception):
    """A file is no picture that training and serving would both read; the message says why."""


@dataclass(frozen=True)
class Picture:
    """What an image file holds.

    Attributes:
        file_sha256: Of its bytes, hex.
        pixels_sha256: Of its size and its upright RGB pixels, hex: what people would call the same
            picture, whatever the file's name, format and metadata.
        look: 64-bit perceptual hash: few bits differ between pictures that look alike.
        width: Of the upright picture, pixels.
        height: Likewise.
        taken: How a working copy takes the file: linked; copied, as ultralytics would rewrite it;
            or encoded anew as PNG: a BMP, which workers do not read, and an animation's first
            picture.
    """

    file_sha256: str
    pixels_sha256: str
    look: int
    width: int
    height: int
    taken: Literal["link", "copy", "png"]


def look_at(path: Path) -> Picture:
    """Decode an image file as training and serving do.

    Args:
        path: JPEG, PNG, WebP or BMP.

    Returns:
        What it holds.

    Raises:
        PictureRefused: It does not decode to its end, is too small, or too large.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PictureRefused(f"cannot be read: {error.strerror}") from error
    pixels = pixels_of(data, path.suffix.lower())
    height, width = pixels.shape[:2]
    if min(height, width) < _MIN_SIDE_PX:
        raise PictureRefused(f"is {width}x{height} pixels; each side must have {_MIN_SIDE_PX}")
    shape = f"{width}x{height} ".encode()
    return Picture(
        file_sha256=hashlib.sha256(data).hexdigest(),
        pixels_sha256=hashlib.sha256(shape + pixels.tobytes()).hexdigest(),
        look=perceptual_hash(pixels),
        width=width,
        height=height,
        taken=_taken(data, path.suffix.lower()),
    )


def pixels_of(data: bytes, suffix: str) -> npt.NDArray[np.uint8]:
    """Decode an image turned upright by its EXIF orientation.

    OpenCV in ultralytics' training and the handlers' own decoder in serving both turn it, so width
    and height mean the same everywhere.

    Args:
        data: The encoded image.
        suffix: Of its file: ".jpg", ".bmp"...

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        PictureRefused: It does not decode to its end.
    """
    if suffix == ".bmp":
        return _bitmap(data)
    try:
        return decode(data)
    except BadFrame as bad:
        raise PictureRefused(bad.message.removeprefix("image: ")) from bad


def perceptual_hash(pixels: npt.NDArray[np.uint8]) -> int:
    """Return 64 bits that resizing, noise and compression barely change.

    The DCT hash (pHash) of Zauner, "Implementation and Benchmarking of Perceptual Image Hash
    Functions", 2010, as the imagehash library computes it: the 8x8 lowest frequencies of the grey
    picture at 32x32 pixels, each above the median or not.

    Args:
        pixels: uint8 [H, W, 3], RGB.
    """
    size = (_HASHED_SIDE_PX, _HASHED_SIDE_PX)
    grey = cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    # Rounded: in a flat picture nothing but the arithmetic's own noise would set the bits.
    waves = np.round(dctn(grey.astype(np.float64))[:_HASH_SIDE, :_HASH_SIDE], 3)
    bits = np.packbits(waves > np.median(waves))
    return int.from_bytes(bits.tobytes(), "big")


def _bitmap(data: bytes) -> npt.NDArray[np.uint8]:
    """Decode a BMP, which the handlers do not take."""
    try:
        with Image.open(io.BytesIO(data), formats=["BMP"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PictureRefused(f"is {image.width}x{image.height} pixels, above {MAX_PIXELS}")
            return np.asarray(image.convert("RGB"), np.uint8)
    except _UNREADABLE as error:
        raise PictureRefused("is not a BMP image that can be opened; encode it again") from error


def _is_animated(data: bytes) -> bool:
    """Say whether it is an animated PNG, which OpenCV in ultralytics must not have (`still`)."""
    header = inspect(data)
    return isinstance(header, PngHeader) and header.animated


def _taken(data: bytes, suffix: str) -> Literal["link", "copy", "png"]:
    """Say how a working copy takes a file that decodes.

    Ultralytics asks Pillow before it trains on a file, and leaves out without a word what Pillow
    does not verify; so that is refused here, where it is told.

    Raises:
        PictureRefused: Pillow finds it broken.
    """
    if suffix == ".bmp" or _is_animated(data):
        return "png"
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.verify()
            is_jpeg = image.format == "JPEG"
    except _UNREADABLE as error:
        raise PictureRefused("is not an image that can be opened; encode it again") from error
    return "copy" if is_jpeg and not data.endswith(_JPEG_END) else "link"
