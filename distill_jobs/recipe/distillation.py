"""What the student takes from its teacher, and when."""

from typing import Literal

from pydantic import Field

from distill_jobs.recipe.section import Fraction, Section


class Losses(Section):
    """Weights of the distillation losses; 0 leaves one out.

    Attributes:
        classes: Per-class binary distillation (`class:` in the file).
        box: Box distillation by GIoU.
    """

    classes: float = Field(default=1.0, ge=0, le=100, alias="class")
    box: float = Field(default=2.0, ge=0, le=100)


class Schedule(Section):
    """How α, the weight of the teacher, moves over the epochs.

    Attributes:
        warmup_epochs: The student learns alone, α = 0.
        ramp_epochs: α rises in equal steps to 1.
        decay: "cosine" falls from 1 to `final` at the last epoch; "none" stays at 1.
        final: The last α of the cosine.
    """

    warmup_epochs: int = Field(default=1, ge=0)
    ramp_epochs: int = Field(default=2, ge=0)
    decay: Literal["cosine", "none"] = "cosine"
    final: Fraction = 0.1


class Distillation(Section):
    """What the student takes from its teacher, and when."""

    losses: Losses = Losses()
    schedule: Schedule = Schedule()
