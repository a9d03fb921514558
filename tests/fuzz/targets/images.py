"""A frame's way in a worker: bytes, header, pixels, the model's input."""

import os
import resource
import struct
import zlib
from pathlib import Path

import atheris
import cv2
import numpy as np
from encoded_images import bombs, in_every_format, in_scans, with_packed_texts

from handlers.card import Input
from handlers.errors import BadFrame
from handlers.images import decode_to_fit

MAX_BYTES = 8192
# Small, so that a decoder that allocates what a header asks for shows in the process's memory.
_MOST_PIXELS = 250_000
_MOST_GROWTH_KB = 200 * 1024
_INPUT = Input(
    width=160,
    height=160,
    letterbox_pad=114,
    letterbox_scale_up=True,
    scale=1 / 255,
    tensor_name="images",
    output_name="output0",
    stride=32,
)
_CODES = {"empty_body", "not_an_image", "truncated_image", "image_too_large"}
_PNG = b"\x89PNG\r\n\x1a\n"
_peak_kb = 0


def seeds() -> list[bytes]:
    """Every dress of an image, bombs, and real photos made small enough to change a lot of."""
    photos = Path(os.environ.get("UNDERSTUDY_DATA", "")) / "photos"
    small = [cv2.resize(cv2.imread(str(file)), (160, 120)) for file in sorted(photos.glob("*.jpg"))]
    kinds = (".jpg", ".png", ".webp")
    real = [cv2.imencode(kind, image)[1].tobytes() for image in small for kind in kinds]
    made = [*in_every_format().values(), *bombs().values(), in_scans(101), with_packed_texts(17)]
    return [one for one in made + real if len(one) <= MAX_BYTES]


def one(data: bytes) -> None:
    """Answer a picture of no more pixels than allowed, or a bad frame; in little memory."""
    try:
        image, fit = decode_to_fit(data, _INPUT, max_pixels=_MOST_PIXELS)
    except BadFrame as bad:
        assert bad.code in _CODES, bad.code
        assert bad.message.startswith("image: "), bad.message
    else:
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert fit.geometry.width * fit.geometry.height <= _MOST_PIXELS
        out = np.full((3, *fit.shape), np.nan, np.float32)
        fit.place(fit.resize(image), _INPUT, out)
        assert np.isfinite(out).all()
    _hold_memory()


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change something; mostly, a PNG's checksums are made right again, or libpng sees no more."""
    changed = bytearray(atheris.Mutate(data, max_size))
    if seed % 4 and changed.startswith(_PNG):
        _right_checksums(changed)
    return bytes(changed)


def _right_checksums(png: bytearray) -> None:
    at = len(_PNG)
    while at + 12 <= len(png):
        end = at + 8 + struct.unpack_from(">I", png, at)[0]
        if end + 4 > len(png):
            return
        struct.pack_into(">I", png, end, zlib.crc32(png[at + 4 : end]))
        at = end + 4


def _hold_memory() -> None:
    """Fail on the input that made the process larger at once than any allowed picture does."""
    global _peak_kb
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown_kb, _peak_kb = peak_kb - (_peak_kb or peak_kb), peak_kb
    assert grown_kb < _MOST_GROWTH_KB, f"{grown_kb} KB at once"
