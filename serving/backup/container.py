"""The file of a backup: a zip whose manifest holds every part's digest."""

import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from serving.backup.errors import BackupError
from serving.backup.manifest import NAME, Manifest, Part

_CHUNK_BYTES = 1024 * 1024
_MANIFEST_BYTES = 16 * 1024 * 1024
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError)


class Member:
    """A part that is being written, and its digest so far."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._bytes = 0

    def write(self, content: bytes) -> None:
        """Add to it."""
        self._file.write(content)
        self._digest.update(content)
        self._bytes += len(content)

    def part(self, name: str) -> Part:
        """Return what the manifest says of it."""
        return Part(name=name, bytes=self._bytes, sha256=self._digest.hexdigest())


class Packing:
    """Writes a backup; its `parts` are what was written whole.

    Args:
        packed: Open for writing.
    """

    def __init__(self, packed: zipfile.ZipFile) -> None:
        self._packed = packed
        self.parts: list[Part] = []

    @contextmanager
    def member(self, name: str, *, compressed: bool = True) -> Iterator[Member]:
        """Write one part."""
        info = zipfile.ZipInfo(name)
        info.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
        with self._packed.open(info, "w", force_zip64=True) as file:
            member = Member(file)
            yield member
        self.parts.append(member.part(name))

    def copy(self, name: str, source: Path) -> Part:
        """Write a file as it is; archives are packed already.

        Raises:
            FileNotFoundError: It is not there.
        """
        with source.open("rb") as reader, self.member(name, compressed=False) as member:
            while chunk := reader.read(_CHUNK_BYTES):
                member.write(chunk)
        return self.parts[-1]

    def close(self, manifest: Manifest) -> None:
        """Write the manifest, the last part."""
        self._packed.writestr(NAME, manifest.model_dump_json(indent=2))


def unpack(file: Path, folder: Path) -> Manifest:
    """Unpack a backup into an empty folder, and check all of it.

    Args:
        file: Of the backup.
        folder: Gets the parts, under their names.

    Raises:
        BackupError: It is no backup, or one that is cut off or altered.
        OSError: The folder cannot be written, or the file not read.
    """
    try:
        with zipfile.ZipFile(file) as packed:
            manifest = _manifest(packed, file)
            for part in manifest.parts:
                _unpack(packed, part, folder)
    except _DAMAGED as error:
        raise BackupError(
            f"{file}: this is no backup of understudy, or it was cut off or altered ({error}); "
            "take another one"
        ) from error
    return manifest


def _manifest(packed: zipfile.ZipFile, file: Path) -> Manifest:
    if packed.getinfo(NAME).file_size > _MANIFEST_BYTES:
        raise BackupError(f"{file}: its {NAME} is larger than any; take another backup")
    try:
        manifest = Manifest.model_validate_json(packed.read(NAME))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BackupError(
            f"{file}: {NAME}, {where}: {first['msg']}; it was altered, or a newer version of this "
            "program made it: take another backup, or upgrade"
        ) from error
    strange = set(packed.namelist()) - {part.name for part in manifest.parts} - {NAME}
    if strange:
        raise BackupError(
            f"{file}: {', '.join(sorted(strange)[:3])} is not in its {NAME}: it was altered; take "
            "another backup"
        )
    return manifest


def _unpack(packed: zipfile.ZipFile, part: Part, folder: Path) -> None:
    target = folder / part.name
    target.parent.mkdir(mode=0o700, exist_ok=True)
    with packed.open(part.name) as reader, target.open("xb") as file:
        writer = Member(file)
        left = part.bytes + 1  # no more than it should be, and one to tell that it is more
        while left and (chunk := reader.read(min(left, _CHUNK_BYTES))):
            writer.write(chunk)
            left -= len(chunk)
    target.chmod(0o600)
    if writer.part(part.name) != part:
        raise BackupError(
            f"{part.name} is not what the backup's {NAME} says: it was altered; take another backup"
        )
