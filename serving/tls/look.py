"""Whether files are others than before, without reading them."""

from collections.abc import Iterable
from pathlib import Path

Look = tuple[tuple[int, int, int], ...]


def look_at(files: Iterable[Path | None]) -> Look:
    """Return what changes when a file is exchanged; None stands for no file.

    Raises:
        OSError: One is not there.
    """
    found = [one.stat() for one in files if one is not None]
    return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in found)
