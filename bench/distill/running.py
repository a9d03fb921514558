"""Cells one after the other, or two side by side, each in a process of its own with one thread."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.distill.cells import Cell, Store
from bench.provenance import PROJECT_ROOT

_POLL_S = 0.2
# Decision 15: one thread a process gives the same figures however many cores there are.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# Timed with a core or two of its own, when nothing else of ours runs.
_ALONE = "latency"


@dataclass
class _Process:
    cell: Cell
    popen: subprocess.Popen[bytes]


@dataclass(frozen=True)
class Runner:
    """Does what a plan names until nothing is left.

    Attributes:
        store: Where the cells lie.
        cells: Names what there is to do by now, asked again after each cell.
        jobs: How many at once.
        note: Told of beginnings and ends.
        command: What does a cell; its store and key are appended.
    """

    store: Store
    cells: Callable[[], Sequence[Cell]]
    jobs: int
    note: Callable[[str], None]
    command: tuple[str, ...] = (sys.executable, "-m", "bench.distill.child")

    def run(self) -> list[Cell]:
        """Do everything; returns the cells that failed (and are tried again by the next run)."""
        running: list[_Process] = []
        failed: dict[str, Cell] = {}
        try:
            while True:
                waiting = self._waiting(failed, [one.cell for one in running])
                if not waiting and not running:
                    return list(failed.values())
                for cell in waiting[: self.jobs - len(running)]:
                    if cell.kind == _ALONE and running:
                        break
                    running.append(self._start(cell))
                    if cell.kind == _ALONE:
                        break
                running = self._await_one(running, failed)
        finally:
            for one in running:
                one.popen.terminate()

    def _waiting(self, failed: dict[str, Cell], running: Sequence[Cell]) -> list[Cell]:
        """Return what can begin now; what is timed comes last."""
        keys = {cell.key for cell in running} | set(failed)
        if any(cell.kind == _ALONE for cell in running):
            return []
        ready = [
            cell
            for cell in self.cells()
            if cell.key not in keys
            and self.store.figures(cell.key) is None
            and all(self.store.figures(key) is not None for key in cell.after)
        ]
        return sorted(ready, key=lambda cell: cell.kind == _ALONE)

    def _start(self, cell: Cell) -> _Process:
        folder = self.store.describe(cell)
        self.note(f"begin {cell.key}")
        with (folder / "log.txt").open("ab") as log:
            popen = subprocess.Popen(
                [*self.command, str(self.store.path), cell.key],
                cwd=PROJECT_ROOT,
                env={**os.environ, **_ONE_THREAD} if cell.kind != _ALONE else None,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return _Process(cell, popen)

    def _await_one(self, running: list[_Process], failed: dict[str, Cell]) -> list[_Process]:
        """Wait until a process has ended; returns the others."""
        while all(one.popen.poll() is None for one in running):
            time.sleep(_POLL_S)
        # Asked once: who ends meanwhile is looked at the next time.
        ended = [one for one in running if one.popen.poll() is not None]
        for one in ended:
            if self.store.figures(one.cell.key) is None:
                failed[one.cell.key] = one.cell
                log = self.store.folder(one.cell.key) / "log.txt"
                self.note(f"FAILED {one.cell.key} ({one.popen.returncode}): see {log}")
            else:
                self.note(f"done {one.cell.key}")
        return [one for one in running if one not in ended]
