"""What an encoded image says of itself, read without decoding it.

OpenCV answers a truncated JPEG with a grey remainder and no error, and allocates what the header
asks for. So a frame's structure is walked first: JPEG segments up to the EOI marker (ITU-T T.81,
annex B), PNG chunks up to IEND (PNG specification, section 5), WebP's RIFF size (RFC 9649, section
2.3). Bytes after the end are fine: cameras append them. Damage inside a complete file is the
decoder's to find.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from handlers.errors import BadFrame
from handlers.exif import is_turned, orientation_in

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"

# In entropy-coded data FF is followed by 00 (a stuffed byte) or a restart marker; what else follows
# is the next marker. FF FF is a fill byte: the last FF is the marker's own. (FF+ would say the same
# twenty times slower: only a plain first byte lets the search skip ahead.)
_NEXT_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_TEM, _SOI, _EOI, _SOS, _APP1 = 0x01, 0xD8, 0xD9, 0xDA, 0xE1
# Start-of-frame markers; C4, C8 and CC in their midst mean something else.
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# A scan of a few bytes makes the decoder pass over the whole picture again: 18 KB in a thousand of
# them took 8 s, and a worker is killed after 60. Encoders write about ten.
MAX_SCANS = 100
# Each is unpacked, to 8 MB at most, though nobody reads it: 250 of them, 1.9 MB, took 8 s.
MAX_PACKED_TEXTS = 16
_PACKED_TEXTS = frozenset({b"zTXt", b"iTXt"})
_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})


@dataclass(frozen=True)
class Header:
    """What an encoded image says of itself.

    Attributes:
        width: In pixels, before any EXIF rotation.
        height: Likewise.
    """

    width: int
    height: int


@dataclass(frozen=True)
class PngHeader(Header):
    """What a PNG says of itself.

    Attributes:
        animated: Whether it has chunks of an animation.
    """

    animated: bool


@dataclass(frozen=True)
class JpegHeader(Header):
    """What a JPEG says of itself.

    Attributes:
        coding: Marker of the frame header: 0xC0 for baseline.
        bits: Of a sample.
        channels: How many.
        orientation: EXIF's, 1 to 8; 1 is upright.
    """

    coding: int
    bits: int
    channels: int
    orientation: int

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the picture turned upright."""
        size = self.width, self.height
        return size[::-1] if is_turned(self.orientation) else size


def inspect(data: bytes | bytearray) -> Header:
    """Walk an encoded image from its first byte to its end marker.

    Args:
        data: JPEG, PNG or WebP, with anything after its end.

    Returns:
        What its header announces.

    Raises:
        BadFrame: "truncated_image" if the data ends before the image does, "not_an_image" if it is
            none of the three formats or its structure is broken.
    """
    if data.startswith(_JPEG):
        header: Header = _walk_jpeg(data)
    elif data.startswith(_PNG):
        header = _walk_png(data)
    elif data.startswith(b"RIFF") and b"WEBP".startswith(data[8:12]):
        header = _walk_webp(data)
    elif any(start.startswith(data) for start in (_JPEG, _PNG, b"RIFF")):  # cut inside
        raise _truncated(data)
    else:
        raise _malformed("its first bytes are those of no JPEG, PNG or WebP")
    if not header.width or not header.height:
        raise _malformed(f"its header announces {header.width}x{header.height} pixels")
    return header


def still(png: bytes | bytearray) -> bytes:
    """Return a PNG's first picture alone, without the chunks of its animation.

    OpenCV must not have an animation: where one is damaged, OpenCV 5.0.0 returns to a part of its
    stack that is gone by then, and one damaged file in two thousand ends the process.

    Args:
        png: One that `inspect` took.
    """
    kept = [_PNG]
    for kind, start, end in _chunks(png):
        if kind not in _ANIMATION:
            kept.append(bytes(png[start:end]))
        if kind == b"IEND":
            break
    return b"".join(kept)


def _walk_jpeg(data: bytes | bytearray) -> JpegHeader:
    frame_at, scans, at = 0, 0, 2
    segments: list[bytes | bytearray] = []
    while (found := _NEXT_MARKER.search(data, at)) is not None:
        marker, at = found[1][0], found.end()
        if marker == _EOI:
            _hold_scans(scans if frame_at else 0)
            return _jpeg_header(data, frame_at, segments)
        if marker == _SOI:  # the next picture of a broken stream
            break
        if marker == _TEM:  # the one other marker without a length
            continue
        length = _number(data, at, 2)
        if marker in _SOF:
            frame_at = frame_at or at
        elif marker == _APP1:
            segments.append(data[at + 2 : at + length])
        scans += marker == _SOS
        at += length
    raise _truncated(data)


def _hold_scans(scans: int) -> None:
    if not scans:
        raise _malformed("the JPEG ends before its frame header or its first scan")
    if scans > MAX_SCANS:
        raise _malformed(f"the JPEG has {scans} scans, and at most {MAX_SCANS} are taken")


def _jpeg_header(data: bytes | bytearray, at: int, segments: list[bytes | bytearray]) -> JpegHeader:
    """Read a frame header: length, bits, height, width, channels (T.81, section B.2.2)."""
    return JpegHeader(
        width=_number(data, at + 5, 2),
        height=_number(data, at + 3, 2),
        coding=data[at - 1],
        bits=_number(data, at + 2, 1),
        channels=_number(data, at + 7, 1),
        orientation=orientation_in(segments),
    )


def _walk_png(data: bytes | bytearray) -> PngHeader:
    if data[12:16] not in (b"IHDR", data[12:]):
        raise _malformed("the PNG does not begin with its header chunk")
    packed_texts, animated = 0, False
    for kind, _, end in _chunks(data):
        packed_texts += kind in _PACKED_TEXTS
        animated |= kind in _ANIMATION
        if packed_texts > MAX_PACKED_TEXTS:
            raise _malformed(f"the PNG has more than {MAX_PACKED_TEXTS} texts that may be packed")
        if kind == b"IEND" and end <= len(data):
            return PngHeader(_number(data, 16, 4), _number(data, 20, 4), animated=animated)
    raise _truncated(data)


def _chunks(png: bytes | bytearray) -> Iterator[tuple[bytes, int, int]]:
    """Give each chunk's kind and where it begins and ends, which may be after the data's end."""
    at = len(_PNG)
    while at + 12 <= len(png):
        start, at = at, at + 12 + _number(png, at, 4)
        yield bytes(png[start + 4 : start + 8]), start, at


def _walk_webp(data: bytes | bytearray) -> Header:
    if len(data) < 30 or len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise _truncated(data)
    kind = data[12:16]
    if kind == b"VP8X":  # canvas, each side less one in 24 bits
        return Header(_little(data, 24, 3) + 1, _little(data, 27, 3) + 1)
    if kind == b"VP8L":  # each side less one in 14 bits
        sides = _little(data, 21, 4)
        return Header((sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 ":  # 14 bits each, scaling hints above them
        return Header(_little(data, 26, 2) & 0x3FFF, _little(data, 28, 2) & 0x3FFF)
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
