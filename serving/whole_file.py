"""Files that are there whole or not at all, whenever the power goes."""

import contextlib
import os
from pathlib import Path


def write_whole(path: Path, text: str, *, mode: int) -> None:
    """Write a file, replacing the one that is there.

    Args:
        path: Its folder exists.
        text: What it will hold.
        mode: Its permissions, from its first byte on.

    Raises:
        OSError: It cannot be written; nothing of it is left.
    """
    half_written = path.with_name(f".{path.name}.{os.getpid()}")
    half_written.unlink(missing_ok=True)
    handle = os.open(half_written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        half_written.replace(path)
    except BaseException:
        half_written.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Make a rename in a folder outlast a power cut, where the system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
