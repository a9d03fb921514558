"""Where an archive's files lie: one after another, as its directory says, and nothing between them.

Python finds the files of a zip archive in the directory at its end. TorchServe, by Java's
ZipInputStream, reads no directory: it unpacks what stands in the file from its first byte on. What
was checked is what is unpacked only where the two agree. (APPNOTE.TXT 6.3.10, 4.3.7 and 4.5.3)
"""

import struct
import zipfile
from typing import BinaryIO

from serving.errors import ArchiveRejected

# Signature, version, flags, method, time, date, CRC, packed size, size, length of name, of extras.
_HEADER = struct.Struct("<4s5H3I2H")
_SIGNATURE = b"PK\x03\x04"
_NAME_IS_UTF8 = 0x800
_IN_EXTRAS = 0xFFFFFFFF
_SIZES_TAG = struct.pack("<HH", 1, 16)
_SIZES = struct.Struct("<QQ")


def check_layout(opened: zipfile.ZipFile, file: BinaryIO) -> None:
    """Check that whoever reads an archive, from its beginning or from its end, finds the same.

    Files must be stored as they are: none unpacks to more than the archive has.

    Args:
        opened: The archive.
        file: The same, to read headers from.

    Raises:
        ArchiveRejected: Something else stands in it.
    """
    at = 0
    for entry in sorted(opened.infolist(), key=lambda one: one.header_offset):
        if entry.header_offset != at:
            raise _unlisted(at, entry.header_offset)
        at += _header_bytes(entry, file) + entry.file_size
    if at != opened.start_dir:
        raise _unlisted(at, opened.start_dir)


def _header_bytes(entry: zipfile.ZipInfo, file: BinaryIO) -> int:
    """Check the header before a file against the directory, and return how long it is."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise ArchiveRejected(
            f"{entry.filename!r} is compressed; archives hold files as they are (zip-store), as "
            "`understudy release build` packs them"
        )
    file.seek(entry.header_offset)
    name_bytes: int
    extra_bytes: int
    fields = _HEADER.unpack(_read(file, _HEADER.size))
    signature, _, flags, method, _, _, crc, packed, size, name_bytes, extra_bytes = fields
    name, extra = _read(file, name_bytes), _read(file, extra_bytes)
    if (packed, size) == (_IN_EXTRAS, _IN_EXTRAS) and extra.startswith(_SIZES_TAG):
        size, packed = _SIZES.unpack(extra[len(_SIZES_TAG) :][: _SIZES.size])
    found = signature, flags & ~_NAME_IS_UTF8, method, crc, packed, size, name
    size = entry.file_size
    wanted = _SIGNATURE, 0, 0, entry.CRC, size, size, entry.filename.encode("ascii", "replace")
    if found != wanted:
        raise ArchiveRejected(
            f"{entry.filename!r} is another file in its header than in the directory"
        )
    return _HEADER.size + name_bytes + extra_bytes


def _read(file: BinaryIO, size: int) -> bytes:
    read = file.read(size)
    if len(read) != size:
        raise EOFError("it ends inside a header")
    return read


def _unlisted(at: int, next_at: int) -> ArchiveRejected:
    begin, end = sorted((at, next_at))
    return ArchiveRejected(f"its bytes {begin} to {end} are no file of its directory, or of two")
