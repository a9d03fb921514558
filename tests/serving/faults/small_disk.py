"""A disk of a deployment's own, small enough to be filled."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_SIZE = "256m"


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of its own on an empty folder; skips where this user may not."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=0700", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a disk of its own needs root and mount(8): {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        # At once: whoever still holds a file of it goes with the test.
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Leave not a byte on the disk of a folder for as long as the block runs."""
    filler = folder / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            for piece in (1024 * 1024, 4096, 1):
                _fill(file.fileno(), piece)
        assert shutil.disk_usage(folder).free == 0
        yield
    finally:
        filler.unlink()


def _fill(descriptor: int, piece: int) -> None:
    try:
        while os.write(descriptor, bytes(piece)):
            pass
    except OSError:
        return
