"""Who may watch a training: what a listener is told, and what it may ask for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from handlers.frames import Detections


@dataclass(frozen=True)
class FrameSeen:
    """What both models see in one of the fixed frames: the same validation images every epoch.

    Attributes:
        name: The image's file name.
        image: uint8 [S, S, 3], RGB, letterboxed as the networks take it.
        student: The EMA student's detections, pixels of `image`, scores from 0.05.
        teacher: The teacher's, or None where there is none or it answers no pixels.
        student_scores: float32 [A], the student's highest class score at each anchor, 0 to 1.
        teacher_scores: float32 [A'], likewise; empty where there is no teacher.
    """

    name: str
    image: npt.NDArray[np.uint8]
    student: Detections
    teacher: Detections | None
    student_scores: npt.NDArray[np.float32]
    teacher_scores: npt.NDArray[np.float32]


@dataclass(frozen=True)
class EpochSeen:
    """One finished epoch.

    Attributes:
        title: Of the training: "train teacher", "distil student"...
        epoch: 0-based.
        epochs: How many there may be at most.
        step: Batches seen since the training began.
        losses: Mean over the epoch's batches by name: the teachers' shares ("class_distill"...)
            with α and their weights, the student's own ("box_loss"...) without h, which is 1 - α
            where the total is convex.
        validation: By ultralytics' name without its decoration: "map50", "map50_95", "precision",
            "recall", and validation losses as "val/box_loss"...; empty where none was measured.
        learning_rates: One a parameter group.
        alpha: Weight of the teacher, 0 without one.
        seconds: Of training and validation since the training began, resumed parts included.
        last: Whether the training ends with this epoch.
        fixed_frames: Runs both models on the fixed frames, when called and not before; it leaves
            weights and random states as they were.
    """

    title: str
    epoch: int
    epochs: int
    step: int
    losses: Mapping[str, float]
    validation: Mapping[str, float]
    learning_rates: tuple[float, ...]
    alpha: float
    seconds: float
    last: bool
    fixed_frames: Callable[[], tuple[FrameSeen, ...]]


class EpochListener(Protocol):
    """Told of every epoch of a training, in the process that leads it.

    Random states are put back after each call, so that a listener changes no result. After a kill
    the epoch that was not kept is trained again, and told again: later tellings of an epoch replace
    earlier ones.
    """

    def epoch_ended(self, seen: EpochSeen) -> None:
        """Take note; what is raised here ends the training."""
