"""Files that are there whole or not at all, whenever the power goes."""

import contextlib
import os
import secrets
from pathlib import Path


def write_whole(path: Path, content: str | bytes, *, mode: int) -> None:
    """Write a file, replacing the one that is there.

    Args:
        path: Its folder exists.
        content: What it will hold; text as UTF-8.
        mode: Its permissions, from its first byte on.

    Raises:
        OSError: It cannot be written; nothing of it is left.
    """
    # Not the process's id: two containers that share a folder may both be process 1.
    half_written = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(half_written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
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
