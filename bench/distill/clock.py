"""How much processor time an epoch takes, kept while a training runs."""

import json
import time
from pathlib import Path
from statistics import median


class Clock:
    """Writes a line an epoch: processor seconds of this process, wall-clock seconds.

    With one thread a process's processor time is its wall-clock on a core of its own, whatever else
    the machine does. A `distill_jobs.progress.Reporter`: told of every batch it knows the epochs.

    Args:
        file: Gets the lines.
        epochs: How many the training has at most.
    """

    def __init__(self, file: Path, epochs: int) -> None:
        self._file = file
        self._epochs = epochs
        self._batches = 1
        self._done = 0
        self._began = (time.process_time(), time.monotonic())

    def stage(self, name: str, total: int) -> None:
        """A training begins, or goes on."""
        self._batches = max(1, total // self._epochs)
        self._done = 0
        self._began = (time.process_time(), time.monotonic())

    def advance(self, parts: int = 1) -> None:
        """So many batches are done; several at once: an earlier process did them."""
        self._done += parts
        if parts == 1 and self._done % self._batches == 0:
            self.tick()

    def note(self, text: str) -> None:
        """Do nothing."""

    def tick(self) -> None:
        """An epoch is over; its validation counts for the next."""
        now = (time.process_time(), time.monotonic())
        line = {"cpu_s": now[0] - self._began[0], "wall_s": now[1] - self._began[1]}
        with self._file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")
        self._began = now


def cpu_s_per_epoch(file: Path) -> float:
    """Return the median processor seconds of an epoch, validation included."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return float(median(line["cpu_s"] for line in lines[1:] or lines))
