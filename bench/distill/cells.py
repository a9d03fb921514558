"""Cells: one training or one measurement each, in a folder of its own, done or not."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_jobs.files import write_json

Inputs = dict[str, Any]
Figures = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """Something to be done once.

    Attributes:
        kind: "train", "narrow", "measure" or "latency".
        name: For people: arm, fold, seed.
        inputs: All that decides the outcome but the code, as JSON; the name is no part of it, and
            neither is the commit, which a finished cell notes. Whoever changes what a cell means
            changes its inputs by hand: nothing checks it, so the report names each commit.
        after: Folders' keys of the cells that it reads; done before it begins.
    """

    kind: str
    name: str
    inputs: Inputs
    after: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Name of its folder."""
        text = json.dumps([self.kind, self.inputs], sort_keys=True)
        return f"{self.kind}-{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


@dataclass(frozen=True)
class Store:
    """Where cells lie.

    Attributes:
        path: The folder of their folders.
    """

    path: Path

    def folder(self, key: str) -> Path:
        """Return a cell's folder."""
        return self.path / key

    def figures(self, key: str) -> Figures | None:
        """Return what a cell left, or None while it is not done."""
        marker = self.folder(key) / "done.json"
        if not marker.exists():
            return None
        found: Figures = json.loads(marker.read_text(encoding="utf-8"))["figures"]
        return found

    def describe(self, cell: Cell) -> Path:
        """Write down what a cell is, for the process that does it; returns its folder."""
        folder = self.folder(cell.key)
        what = {"kind": cell.kind, "name": cell.name, "inputs": cell.inputs, "after": cell.after}
        write_json(folder / "cell.json", what)
        return folder

    def all_done(self) -> list[dict[str, Any]]:
        """Return every cell that was ever done here, planned now or not, with what it was."""
        return [
            {
                "key": marker.parent.name,
                **json.loads((marker.parent / "cell.json").read_text(encoding="utf-8")),
                **json.loads(marker.read_text(encoding="utf-8")),
            }
            for marker in sorted(self.path.glob("*/done.json"))
        ]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other process works on a cell; the lock dies with the process."""
    descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def empty(folder: Path) -> None:
    """Remove what a killed attempt left, all but the cell's description, lock and log."""
    for path in folder.iterdir():
        if path.name in {"cell.json", ".lock", "log.txt"}:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
