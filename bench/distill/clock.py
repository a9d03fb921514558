"""How much time an epoch and a step take, kept while a training runs."""

import json
import time
from pathlib import Path
from statistics import median


class Clock:
    """Writes a line an epoch: processor seconds of this process, wall-clock seconds, a step's.

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
        self._stepped_s: float | None = None
        self._steps_s: list[float] = []

    def stage(self, name: str, total: int) -> None:
        """A training begins, or goes on."""
        self._batches = max(1, total // self._epochs)
        self._done = 0
        self._began = (time.process_time(), time.monotonic())
        self._stepped_s = None
        self._steps_s.clear()

    def advance(self, parts: int = 1) -> None:
        """So many batches are done; several at once: an earlier process did them."""
        self._done += parts
        if parts > 1:
            return
        self.step()
        if self._done % self._batches == 0:
            self.tick()

    def note(self, text: str) -> None:
        """Do nothing."""

    def step(self) -> None:
        """A batch is over."""
        now_s = time.monotonic()
        if self._stepped_s is not None:
            self._steps_s.append(now_s - self._stepped_s)
        self._stepped_s = now_s

    def tick(self) -> None:
        """An epoch is over; its validation counts for the next."""
        now = (time.process_time(), time.monotonic())
        line = {
            "cpu_s": now[0] - self._began[0],
            "wall_s": now[1] - self._began[1],
            "step_s": median(self._steps_s or [0.0]),
        }
        with self._file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")
        self._began = now
        self._steps_s.clear()


def cost(file: Path) -> dict[str, float]:
    """Return the medians over a training's epochs, the first left out where there are others.

    Returns:
        `cpu_s` and `wall_s` of an epoch, validation included, and `step_s` of a batch.
    """
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {
        name: float(median(line[name] for line in lines[1:] or lines))
        for name in ("cpu_s", "wall_s", "step_s")
    }
