"""How loud the teachers are at each epoch, and what they are asked."""

import math
from dataclasses import dataclass

from distill_jobs.recipe.distillation import Distillation, Schedule, Temperature


@dataclass(frozen=True)
class Moment:
    """What the total loss is made of in one epoch: `L = h · L_task + α · Σ wᵢ Lᵢ`.

    Attributes:
        alpha: α, 0 to 1; 0 spares the teachers' forward passes.
        task_weight: h, 0 to 1.
        temperature: Of the distances' distributions.
        deepest_only: Whether losses of features read the deepest level alone.
    """

    alpha: float = 0.0
    task_weight: float = 1.0
    temperature: float = 10.0
    deepest_only: bool = False


def moment(epoch: int, epochs: int, distillation: Distillation) -> Moment:
    """Return what an epoch's loss is made of.

    Args:
        epoch: 0-based.
        epochs: How many there are.
        distillation: Of the job file.
    """
    schedule = distillation.schedule
    alpha = teacher_weight(epoch, epochs, schedule)
    return Moment(
        alpha=alpha,
        task_weight=1 - alpha if schedule.mode == "convex" else 1.0,
        temperature=temperature(epoch, epochs, distillation.temperature),
        deepest_only=epoch < schedule.shallow_from_epoch,
    )


def teacher_weight(epoch: int, epochs: int, schedule: Schedule) -> float:
    """Return α of the total loss.

    The student first learns alone (`warmup_epochs`), then α rises in equal steps (`ramp_epochs`),
    reaches `start`, and moves to `final` at the last epoch before the `off_epochs`, in which it is
    0 again. With t from 0 (just after the ramp) to 1 (there):

        cosine:  α = final + (start − final) · (1 + cos(π t)) / 2
        linear:  α = start + (final − start) · t

    Args:
        epoch: 0-based.
        epochs: How many there are.
        schedule: Of the job file.

    Returns:
        α, 0 to 1.
    """
    ramped = epoch - schedule.warmup_epochs
    last = epochs - 1 - schedule.off_epochs
    if ramped < 0 or epoch > last:
        return 0.0
    if ramped < schedule.ramp_epochs:
        return schedule.start * (ramped + 1) / (schedule.ramp_epochs + 1)
    first = schedule.warmup_epochs + schedule.ramp_epochs
    t = (epoch - first) / max(1, last - first)
    return _between(schedule.start, schedule.final, t, schedule.decay)


def temperature(epoch: int, epochs: int, wanted: Temperature) -> float:
    """Return an epoch's temperature, on its way over all epochs.

    Args:
        epoch: 0-based.
        epochs: How many there are.
        wanted: Of the job file.
    """
    final = wanted.start if wanted.final is None else wanted.final
    return _between(wanted.start, final, epoch / max(1, epochs - 1), wanted.curve)


def _between(start: float, final: float, t: float, curve: str) -> float:
    """Return the value at t, 0 to 1, of a curve from start to final."""
    if curve == "linear":
        return start + (final - start) * t
    if curve == "cosine":
        return final + (start - final) * (1 + math.cos(math.pi * t)) / 2
    return start
