"""What the student takes from its teachers, and when."""

from typing import Any, Literal

from pydantic import Field, model_validator

from distill_jobs.recipe.section import Fraction, Section

Curve = Literal["constant", "linear", "cosine"]

_CONVEX = {"ramp_epochs": 0, "start": 0.3, "decay": "linear", "final": 0.7}


class Losses(Section):
    """Weights of the distillation losses; 0 leaves one out.

    The first two read every teacher, the others those that answer at the student's own anchors.

    Attributes:
        classes: Per-class binary distillation (`class:` in the file).
        box: Box distillation by GIoU.
        dfl: Localisation distillation (LD) of the distances' distributions; teacher and student
            need heads with the same `reg_max` above 1, which YOLO26's is not. 0.015 is the paper's
            (its 0.25 is of a mean over distances, this of their sum); 0.25 to 1 is a strong voice.
        cwd: Channel-wise distillation of the features that feed the head; 1 is usual.
        features: Score-weighted squared distance of those features; 6 is what ultralytics' own
            distillation uses.
        pkd: Pearson distillation of those features, for architectures that differ; 6 to 10.
    """

    classes: float = Field(default=1.0, ge=0, le=100, alias="class")
    box: float = Field(default=2.0, ge=0, le=100)
    dfl: float = Field(default=0.0, ge=0, le=100)
    cwd: float = Field(default=0.0, ge=0, le=100)
    features: float = Field(default=0.0, ge=0, le=100)
    pkd: float = Field(default=0.0, ge=0, le=100)

    @model_validator(mode="after")
    def _something_is_learnt(self) -> "Losses":
        if not any(self.model_dump().values()):
            raise ValueError(
                "every weight is 0, so the teachers would be run and nothing learnt from them: set "
                "one above 0, or leave `distillation:` out"
            )
        return self


class Schedule(Section):
    """How α, the weight of the teachers, moves over the epochs.

    In the epochs between the ramp and `off_epochs` it goes from `start` to `final`.

    Attributes:
        mode: "additive" adds `α Σ wᵢ Lᵢ` to the student's own loss; "convex" takes as much from
            that loss: `(1 − α) L_task + α Σ wᵢ Lᵢ`, and its defaults are a line from 0.3 to 0.7
            without a ramp.
        warmup_epochs: The student learns alone, α = 0.
        ramp_epochs: α rises in equal steps to `start`.
        start: α just after the ramp.
        decay: How it gets from there to `final`: along half a "cosine", in a "linear" way, or not
            at all ("none").
        final: The last α.
        off_epochs: Last epochs in which the student learns alone again.
        shallow_from_epoch: 0-based epoch from which losses of features read all levels; before
            it, the deepest (the coarsest) alone.
    """

    mode: Literal["additive", "convex"] = "additive"
    warmup_epochs: int = Field(default=1, ge=0)
    ramp_epochs: int = Field(default=2, ge=0)
    start: float = Field(default=1.0, gt=0, le=1)
    decay: Literal["cosine", "linear", "none"] = "cosine"
    final: Fraction = 0.1
    off_epochs: int = Field(default=0, ge=0)
    shallow_from_epoch: int = Field(default=0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_its_mode(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("mode") == "convex":
            return {**_CONVEX, **given}
        return given

    def check_fits(self, epochs: int) -> None:
        """Check that a training is long enough for this schedule.

        Args:
            epochs: Of the training.

        Raises:
            ValueError: It is not; the message names the keys.
        """
        quiet = self.warmup_epochs + self.ramp_epochs + self.off_epochs
        if quiet >= epochs:
            off = " + off_epochs" if self.off_epochs else ""
            raise ValueError(
                f"distillation.schedule: warmup_epochs + ramp_epochs{off} is {quiet} and must be "
                f"below training.epochs ({epochs}): in no epoch would the teacher have its full "
                "weight"
            )
        taught = epochs - self.off_epochs
        if self.shallow_from_epoch >= taught:
            off = " - off_epochs" if self.off_epochs else ""
            raise ValueError(
                f"distillation.schedule: shallow_from_epoch is {self.shallow_from_epoch} and must "
                f"be below training.epochs{off} ({taught}): the other levels would never be read"
            )


class Temperature(Section):
    """How soft the teacher's distributions are made before the student learns them (`dfl`).

    Attributes:
        start: In the first epoch.
        final: In the last; `start` when it is left out.
        curve: How it gets from the one to the other.
    """

    start: float = Field(default=10.0, ge=0.1, le=100)
    final: float | None = Field(default=None, ge=0.1, le=100)
    curve: Curve = "linear"

    @model_validator(mode="after")
    def _both_ends(self) -> "Temperature":
        if self.curve == "constant" and self.final not in (None, self.start):
            raise ValueError(
                f"temperature.final: a constant temperature stays at start ({self.start:g}), and "
                f"final says {self.final:g}: leave it out, or set `curve: linear` or `cosine`"
            )
        return self


class Distillation(Section):
    """What the student takes from its teachers, and when.

    Attributes:
        losses: What is learnt, and how much of each.
        schedule: When.
        temperature: Of the distributions that `losses.dfl` compares.
        channel_temperature: Of the maps that `losses.cwd` compares; lower looks at fewer places.
    """

    losses: Losses = Losses()
    schedule: Schedule = Schedule()
    temperature: Temperature = Temperature()
    channel_temperature: float = Field(default=1.0, ge=0.1, le=100)
