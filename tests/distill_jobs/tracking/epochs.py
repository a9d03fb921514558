"""Epochs as a training tells them, for tests that train nothing."""

import numpy as np

from distill_jobs.progress import Silent
from distill_jobs.training.listening import EpochSeen, FrameSeen
from handlers.frames import Detections


class Noted(Silent):
    """Keeps what it is told in `notes`."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def found(*boxes: tuple[float, float, float, float, float]) -> Detections:
    """Detections of class 0: x1, y1, x2, y2 in pixels and a score each."""
    table = np.array(boxes, np.float32).reshape(-1, 5)
    return Detections(
        table[:, :4], table[:, 4], np.zeros(len(table), np.int64), 96, 96, 0.0, 0.0, 0.0, 0.0
    )


def frame(*, with_teacher: bool = True) -> FrameSeen:
    """A grey frame of 96 pixels on which the student misses one of the teacher's boxes."""
    return FrameSeen(
        name="000001.png",
        image=np.full((96, 96, 3), 128, np.uint8),
        student=found((10, 10, 40, 40, 0.8), (0, 0, 5, 5, 0.06)),
        teacher=found((10, 10, 40, 40, 0.9), (50, 50, 90, 90, 0.7)) if with_teacher else None,
        student_scores=np.linspace(0, 0.8, 50, dtype=np.float32),
        teacher_scores=np.linspace(0, 0.9, 70, dtype=np.float32)
        if with_teacher
        else np.zeros(0, np.float32),
    )


def epoch(number: int, epochs: int = 3, *, map50: float = 0.5, looks: list[int] | None = None):
    """An epoch (0-based) of a training; `looks` notes each look at the fixed frames."""

    def frames() -> tuple[FrameSeen, ...]:
        if looks is not None:
            looks.append(number)
        return (frame(),)

    return EpochSeen(
        title="distil student",
        epoch=number,
        epochs=epochs,
        step=2 * (number + 1),
        losses={"box_loss": 1.5 - 0.1 * number, "class_distill": 0.25},
        validation={"map50": map50, "map50_95": map50 / 2, "val/box_loss": 1.6},
        learning_rates=(0.01, 0.02),
        alpha=0.5 * number,
        seconds=3.0 * (number + 1),
        last=number + 1 == epochs,
        fixed_frames=frames,
    )
