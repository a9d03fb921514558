"""Ultralytics' checkpoints written whole: a kill leaves the old ones or the new ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distill_jobs.training.trainer import LessonTrainer


@contextmanager
def written_whole(trainer: "LessonTrainer") -> Iterator[None]:
    """Let the trainer write `last.pt` and `best.pt` beside where they belong, then move them.

    Args:
        trainer: Its `last` and `best` name other files within the block.
    """
    last, best = trainer.last, trainer.best
    for path in (best, last):  # a kill may have left half a file
        _half_written(path).unlink(missing_ok=True)
    trainer.last, trainer.best = _half_written(last), _half_written(best)
    try:
        yield
        for path in (best, last):
            if _half_written(path).exists():
                _half_written(path).replace(path)
    finally:
        trainer.last, trainer.best = last, best


def _half_written(path: Path) -> Path:
    return path.with_suffix(".writing")
