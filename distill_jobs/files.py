"""Writing files so that a kill at any moment leaves the old one or the new one, never half."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file through a temporary one beside it: written, fsynced, renamed.

    Args:
        path: Replaced if it exists; its folder is created.
        data: The whole content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise


def write_json(path: Path, content: Any) -> None:
    """Write JSON for people and programs: indented, keys in the given order, a last newline."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())
