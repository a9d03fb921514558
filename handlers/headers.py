"""What an encoded image says of itself, read without decoding it.

OpenCV answers a truncated JPEG with a grey remainder and no error, and allocates what the header
asks for. So a frame's structure is walked first: JPEG segments up to the EOI marker (ITU-T T.81,
annex B), PNG chunks up to IEND (PNG specification, section 5), WebP's RIFF size (RFC 9649, section
2.3). Bytes after the end are fine: cameras append them. Damage inside a complete file is the
decoder's to find.
"""

import re
from typing import NamedTuple

from handlers.errors import BadFrame

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"

# In entropy-coded data FF is followed by 00 (a stuffed byte) or a restart marker; what else follows
# is the next marker. FF FF is a fill byte: the last FF is the marker's own. (FF+ would say the same
# twenty times slower: only a plain first byte lets the search skip ahead.)
_NEXT_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_TEM, _SOI, _EOI, _SOS = 0x01, 0xD8, 0xD9, 0xDA
# Start-of-frame markers; C4, C8 and CC in their midst mean something else.
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class Announced(NamedTuple):
    """The size in the header, in pixels, before any EXIF rotation."""

    width: int
    height: int


def inspect(data: bytes | bytearray) -> Announced:
    """Walk an encoded image from its first byte to its end marker.

    Args:
        data: JPEG, PNG or WebP, with anything after its end.

    Returns:
        The size its header announces.

    Raises:
        BadFrame: "truncated_image" if the data ends before the image does, "not_an_image" if it is
            none of the three formats or its structure is broken.
    """
    if data.startswith(_JPEG):
        size = _walk_jpeg(data)
    elif data.startswith(_PNG):
        size = _walk_png(data)
    elif data.startswith(b"RIFF") and b"WEBP".startswith(data[8:12]):
        size = _walk_webp(data)
    elif any(start.startswith(data) for start in (_JPEG, _PNG, b"RIFF")):  # cut inside
        raise _truncated(data)
    else:
        raise _malformed("its first bytes are those of no JPEG, PNG or WebP")
    if not size.width or not size.height:
        raise _malformed(f"its header announces {size.width}x{size.height} pixels")
    return size


def _walk_jpeg(data: bytes | bytearray) -> Announced:
    size, scanned, at = None, False, 2
    while (found := _NEXT_MARKER.search(data, at)) is not None:
        marker, at = found[1][0], found.end()
        if marker == _EOI:
            if size is None or not scanned:
                raise _malformed("the JPEG ends before its frame header or its first scan")
            return size
        if marker == _SOI:  # the next picture of a broken stream
            break
        if marker == _TEM:  # the one other marker without a length
            continue
        if marker in _SOF and size is None:
            size = Announced(_number(data, at + 5, 2), _number(data, at + 3, 2))
        scanned = scanned or marker == _SOS
        at += _number(data, at, 2)
    raise _truncated(data)


def _walk_png(data: bytes | bytearray) -> Announced:
    if data[12:16] not in (b"IHDR", data[12:]):
        raise _malformed("the PNG does not begin with its header chunk")
    at = len(_PNG)
    while at + 12 <= len(data):
        kind = data[at + 4 : at + 8]
        at += 12 + _number(data, at, 4)
        if kind == b"IEND" and at <= len(data):
            return Announced(_number(data, 16, 4), _number(data, 20, 4))
    raise _truncated(data)


def _walk_webp(data: bytes | bytearray) -> Announced:
    if len(data) < 30 or len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise _truncated(data)
    kind = data[12:16]
    if kind == b"VP8X":  # canvas, each side less one in 24 bits
        return Announced(_little(data, 24, 3) + 1, _little(data, 27, 3) + 1)
    if kind == b"VP8L":  # each side less one in 14 bits
        sides = _little(data, 21, 4)
        return Announced((sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 ":  # 14 bits each, scaling hints above them
        return Announced(_little(data, 26, 2) & 0x3FFF, _little(data, 28, 2) & 0x3FFF)
    raise _malformed("the WebP's first chunk holds no image")


def _number(data: bytes | bytearray, at: int, size: int) -> int:
    if at + size > len(data):
        raise _truncated(data)
    return int.from_bytes(data[at : at + size], "big")


def _little(data: bytes | bytearray, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _truncated(data: bytes | bytearray) -> BadFrame:
    return BadFrame(
        "truncated_image",
        f"image: ends after {len(data)} bytes, before its end marker; send it whole",
    )


def _malformed(reason: str) -> BadFrame:
    return BadFrame("not_an_image", f"image: {reason}; send a JPEG, PNG or WebP image")
