"""A training's figures, epoch by epoch, read from its `curves.csv`."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

MAP50 = "metrics/mAP50(B)"
MAP50_95 = "metrics/mAP50-95(B)"
ALPHA = "teacher_weight"


@dataclass(frozen=True)
class Curves:
    """One value an epoch of everything that a training noted.

    Attributes:
        epochs: 1-based, rising.
        columns: By ultralytics' names ("train/box_loss", "metrics/mAP50(B)", ...), and
            "teacher_weight", the α of each epoch; NaN where nothing was noted.
    """

    epochs: tuple[int, ...]
    columns: dict[str, tuple[float, ...]]

    def best(self, name: str) -> tuple[int, float] | None:
        """Return the epoch of a column's highest value and the value; None without one."""
        column = self.columns.get(name, ())
        found = [
            (value, -epoch)
            for epoch, value in zip(self.epochs, column, strict=False)
            if math.isfinite(value)
        ]
        if not found:
            return None
        value, epoch = max(found)
        return -epoch, value

    def losses(self) -> dict[str, dict[str, tuple[float, ...]]]:
        """Return every loss by its name, and in it the values by split ("train", "val")."""
        found: dict[str, dict[str, tuple[float, ...]]] = {}
        for column, values in self.columns.items():
            split, slash, name = column.partition("/")
            if slash and split in {"train", "val"}:
                found.setdefault(name, {})[split] = values
        return found


def read_curves(training: Path) -> Curves | None:
    """Read a training's curves.

    Args:
        training: Its folder: `curves.csv` of a finished one, `results.csv` of one under way.

    Returns:
        The curves; of an epoch that was done twice (killed in between) the later row. None where
        no epoch has ended.
    """
    for name in ("curves.csv", "results.csv"):
        if (training / name).is_file():
            return _parse((training / name).read_text(encoding="utf-8"))
    return None


def _parse(text: str) -> Curves | None:
    rows = {}
    for row in csv.DictReader(text.splitlines(), skipinitialspace=True):
        epoch = _number(row.get("epoch"))
        if math.isfinite(epoch):
            rows[int(epoch)] = row
    if not rows:
        return None
    epochs = sorted(rows)
    names = [name for name in rows[epochs[0]] if name not in {None, "epoch"}]
    columns = {name: tuple(_number(rows[epoch].get(name)) for epoch in epochs) for name in names}
    return Curves(tuple(epochs), columns)


def _number(text: str | None) -> float:
    """Return a cell's value; NaN for an empty or half-written one."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
