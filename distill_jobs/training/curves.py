"""A training's figures, one row an epoch."""

import csv
import io
from pathlib import Path

from distill_jobs.files import write_atomically
from distill_jobs.recipe.distillation import Distillation
from distill_jobs.training.schedule import teacher_weight


def write_curves(results: Path, epochs: int, distillation: Distillation | None) -> None:
    """Write `curves.csv` beside ultralytics' `results.csv`, with the teacher's weight added.

    Args:
        results: One row an epoch; of two for one epoch the later counts.
        epochs: How many there may be at most.
        distillation: None: the teacher's weight is 0.
    """
    rows = list(csv.DictReader(results.read_text(encoding="utf-8").splitlines()))
    by_epoch = {int(float(row["epoch"])): row for row in rows}
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0], "teacher_weight"], lineterminator="\n")
    writer.writeheader()
    for epoch, row in sorted(by_epoch.items()):
        alpha = 0.0
        if distillation is not None:
            alpha = teacher_weight(epoch - 1, epochs, distillation.schedule)
        writer.writerow({**row, "teacher_weight": f"{alpha:.4g}"})
    write_atomically(results.with_name("curves.csv"), text.getvalue().encode())
