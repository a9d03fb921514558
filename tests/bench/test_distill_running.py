"""Cells: done once, repeated when their process was killed, and begun in order."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.distill.cells import Cell, Store, empty
from bench.distill.running import Runner, _Process

# Does what the real child does to a store; the first attempt at "fragile" is killed half-way.
_CHILD = """
import json, os, pathlib, signal, sys
folder = pathlib.Path(sys.argv[1]) / sys.argv[2]
tries = folder.parent / (folder.name + ".tries")
tries.write_text((tries.read_text() if tries.exists() else "") + "x")
if "fragile" in folder.name and tries.read_text() == "x":
    (folder / "half.txt").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
with (folder.parent / "order.txt").open("a") as order:
    order.write(sys.argv[2] + "\\n")
(folder / "done.json").write_text(json.dumps({"figures": {"tries": len(tries.read_text())}}))
"""


class _Ends(subprocess.Popen[bytes]):
    """A process of which it is known when it is seen to have ended."""

    def __init__(self, codes: list[int | None]) -> None:
        self._codes = codes

    def poll(self) -> int | None:
        self.returncode = self._codes[0]
        return self._codes.pop(0) if len(self._codes) > 1 else self._codes[0]

    def __del__(self) -> None:
        """Nothing was started."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "child.py").write_text(_CHILD)
    return Store(tmp_path / "cells")


def runner(store: Store, *cells: Cell, jobs: int = 1) -> Runner:
    script = str(store.path.parent / "child.py")
    return Runner(store, lambda: cells, jobs, lambda _: None, (sys.executable, script))


def test_a_killed_cell_is_reported_and_done_by_the_next_run(store: Store) -> None:
    steady, fragile = Cell("train", "steady", {}), Cell("train", "fragile", {})

    failed = runner(store, steady, fragile).run()
    again = runner(store, steady, fragile).run()

    assert failed == [fragile]
    assert again == []
    assert store.figures(fragile.key) == {"tries": 2}
    assert store.figures(steady.key) == {"tries": 1}


def test_a_cell_waits_for_those_it_reads(store: Store) -> None:
    teacher = Cell("train", "teacher", {})
    student = Cell("train", "student", {"teacher": teacher.key}, after=(teacher.key,))

    runner(store, student, teacher, jobs=2).run()

    assert (store.path / "order.txt").read_text().split() == [teacher.key, student.key]


def test_what_depends_on_a_failed_cell_is_left(store: Store) -> None:
    teacher = Cell("train", "fragile", {})
    student = Cell("train", "student", {}, after=(teacher.key,))

    failed = runner(store, teacher, student).run()

    assert failed == [teacher]
    assert store.figures(student.key) is None


def test_a_cell_that_ends_while_another_is_looked_at_is_not_lost(store: Store) -> None:
    first, second = Cell("train", "first", {}), Cell("train", "second", {})
    store.describe(first)
    running = [_Process(first, _Ends([1])), _Process(second, _Ends([None, 1]))]

    failed: dict[str, Cell] = {}

    left = runner(store, first, second)._await_one(running, failed)

    assert (list(failed), [one.cell for one in left]) == ([first.key], [second])


def test_what_is_timed_runs_last_and_alone(store: Store) -> None:
    timed = Cell("latency", "ours", {})
    others = [Cell("measure", name, {}) for name in ("a", "b")]

    runner(store, timed, *others, jobs=2).run()

    assert (store.path / "order.txt").read_text().split()[-1] == timed.key


def test_a_cell_is_known_by_what_decides_its_outcome() -> None:
    cell = Cell("train", "ours-f0", {"lr0": 0.001, "seed": 0})

    assert cell.key == Cell("train", "ours-f0", {"seed": 0, "lr0": 0.001}).key
    assert cell.key != Cell("train", "ours-f0", {"lr0": 0.002, "seed": 0}).key


def test_a_new_attempt_keeps_the_description_and_the_log_alone(store: Store) -> None:
    folder = store.describe(Cell("train", "a", {}))
    (folder / "log.txt").write_text("first attempt")
    (folder / "training").mkdir()
    (folder / "training" / "last.pt").write_bytes(b"half")

    empty(folder)

    assert sorted(path.name for path in folder.iterdir()) == ["cell.json", "log.txt"]
