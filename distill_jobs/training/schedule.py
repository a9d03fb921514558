"""How loud the teacher is at each epoch."""

import math

from distill_jobs.recipe.distillation import Schedule


def teacher_weight(epoch: int, epochs: int, schedule: Schedule) -> float:
    """Return α of the total loss `L = L_task + α(epoch) · Σ wᵢ Lᵢ`.

    The student first learns alone (`warmup_epochs`), then α rises in equal steps
    (`ramp_epochs`), reaches 1, and falls along half a cosine to `final` at the last epoch:

        α = final + (1 − final) · (1 + cos(π t)) / 2,  t from 0 (just after the ramp) to 1 (last)

    Args:
        epoch: 0-based.
        epochs: How many there are.
        schedule: Of the job file.

    Returns:
        α, 0 to 1.
    """
    ramped = epoch - schedule.warmup_epochs
    if ramped < 0:
        return 0.0
    if ramped < schedule.ramp_epochs:
        return (ramped + 1) / (schedule.ramp_epochs + 1)
    if schedule.decay == "none":
        return 1.0
    first = schedule.warmup_epochs + schedule.ramp_epochs
    span = max(1, epochs - 1 - first)
    t = min(1.0, (epoch - first) / span)
    return schedule.final + (1 - schedule.final) * (1 + math.cos(math.pi * t)) / 2
