"""One small picture in every dress that cameras send."""

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
from PIL import Image

UPSIDE_RIGHT = 6  # EXIF: turn a quarter clockwise to see it upright
ORIENTATION = 0x0112


def scene(width: int = 40, height: int = 24) -> np.ndarray:
    """Return uint8 [height, width, 3], RGB, smooth, its left half red and its right half blue."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2] = (200, 30, 30)
    image[:, width // 2 :] = (30, 30, 200)
    noise = np.random.default_rng(0).integers(0, 30, image.shape, np.uint8)
    return cv2.GaussianBlur(image + noise, (3, 3), 1)


def in_every_format() -> dict[str, bytes]:
    """Return the scene as every kind of JPEG, PNG and WebP, by name."""
    image = Image.fromarray(scene())
    turned = Image.Exif()
    turned[ORIENTATION] = UPSIDE_RIGHT
    frames = {"save_all": True, "append_images": [image.rotate(180)], "duration": 40}
    return {
        "jpeg": _save(image, "JPEG"),
        "jpeg-progressive": _save(image, "JPEG", progressive=True),
        "jpeg-restarts": _save(image, "JPEG", restart_marker_blocks=1),
        "jpeg-grey": _save(image.convert("L"), "JPEG"),
        "jpeg-cmyk": _save(image.convert("CMYK"), "JPEG"),
        "jpeg-turned": _save(image, "JPEG", exif=turned),
        "jpeg-thumbnail": with_thumbnail(_save(image, "JPEG"), _save(image, "JPEG", quality=10)),
        "jpeg-fill-bytes": _save(image, "JPEG")[:-2] + b"\xff\xff\xff\xd9",
        "png": _save(image, "PNG"),
        "png-alpha": _save(image.convert("RGBA"), "PNG"),
        "png-palette": _save(image.convert("P"), "PNG"),
        "png-bilevel": _save(image.convert("1"), "PNG"),
        "png-16-bit": _save(Image.fromarray(scene()[..., 0].astype(np.uint16) * 257), "PNG"),
        "png-animated": _save(image, "PNG", **frames),
        "webp": _save(image, "WEBP"),
        "webp-lossless": _save(image, "WEBP", lossless=True),
        "webp-alpha": _save(image.convert("RGBA").rotate(10), "WEBP"),
        "webp-turned": _save(image, "WEBP", exif=turned),
        "webp-animated": _save(image, "WEBP", **frames),
    }


def in_other_formats() -> dict[str, bytes]:
    """Return the scene in formats that are not taken."""
    image = Image.fromarray(scene())
    return {name: _save(image, name) for name in ("GIF", "BMP", "TIFF", "AVIF", "PPM")}


def with_thumbnail(jpeg: bytes, thumbnail: bytes) -> bytes:
    """Return the JPEG with a whole other JPEG, end marker and all, in an APP1 segment."""
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail
    return jpeg[:2] + segment + jpeg[2:]


def bombs() -> dict[str, bytes]:
    """Return whole images of a few hundred bytes that announce hundreds of millions of pixels."""
    formats = in_every_format()
    jpeg, png = bytearray(formats["jpeg"]), bytearray(formats["png"])
    frame = jpeg.index(b"\xff\xc0") + 5
    jpeg[frame : frame + 4] = struct.pack(">HH", 30000, 30000)
    png[16:24] = struct.pack(">II", 30000, 30000)
    lossy, lossless = bytearray(formats["webp"]), bytearray(formats["webp-lossless"])
    lossy[26:30] = struct.pack("<HH", 16383, 16383)
    lossless[21:25] = struct.pack("<I", 16382 | 16382 << 14)
    extended = bytearray(formats["webp-alpha"])
    extended[24:30] = b"\xff\x3f\x00" * 2
    return {
        "jpeg": bytes(jpeg),
        "png": bytes(png),
        "webp": bytes(lossy),
        "webp-lossless": bytes(lossless),
        "webp-extended": bytes(extended),
    }


def in_scans(count: int, side_px: int | None = None) -> bytes:
    """Return a progressive JPEG whose first scan is there `count` times.

    Args:
        count: How many times.
        side_px: That it announces; None: those of the scene.
    """
    jpeg = bytearray(in_every_format()["jpeg-progressive"])
    if side_px is not None:
        struct.pack_into(">HH", jpeg, jpeg.index(b"\xff\xc2") + 5, side_px, side_px)
    start = jpeg.index(b"\xff\xda")
    end = jpeg.index(b"\xff\xc4", start)
    return bytes(jpeg[:start] + count * jpeg[start:end] + b"\xff\xd9")


def with_packed_texts(count: int, text_bytes: int = 100) -> bytes:
    """Return a PNG with texts of zeros, packed."""
    png = in_every_format()["png"]
    body = b"zTXtComment\0\0" + zlib.compress(bytes(text_bytes))
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    after_header = 8 + 25
    return png[:after_header] + count * chunk + png[after_header:]


def in_a_damaged_animation() -> bytes:
    """Return an animated PNG that ends the process in OpenCV 5.0.0, given to it as it is."""
    png = bytearray(in_every_format()["png-animated"])
    first = png.index(b"fcTL")
    png[first : first + 4] = b"fcTe"  # nobody knows how large the first frame is
    later = png.index(b"fdAT")
    (length,) = struct.unpack_from(">I", png, later - 4)
    rows = zlib.compress(bytes([9]) * 3000, 0)[: length - 4]  # a filter that there is not
    png[later + 8 : later + 8 + len(rows)] = rows
    return bytes(png)


def _save(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
