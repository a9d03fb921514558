"""What `understudy job sweep` may change, and how it judges a trial."""

from typing import Literal, Self

from pydantic import Field, model_validator

from distill_jobs.recipe.section import Section

# The teacher is trained once, the data and the gate are what trials are compared on.
SWEPT_SECTIONS = ("training", "distillation", "student")

Value = bool | int | float | str


class Range(Section):
    """Values to try for one key of the job file: a range, or a list of choices.

    Attributes:
        low: Smallest value of a range.
        high: Largest; whole numbers at both ends try whole numbers only.
        log: Tries factors rather than differences: for rates and weights.
        step: Tries multiples above `low` only.
        choices: A list instead of a range.
    """

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: int | float | None = Field(default=None, gt=0)
    choices: tuple[Value, ...] = Field(default=(), max_length=50)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        is_range = self.low is not None and self.high is not None
        if is_range == bool(self.choices) or (self.low is None) != (self.high is None):
            raise ValueError("give either `low:` and `high:`, or `choices:`")
        if self.low is not None and self.high is not None:
            if self.low >= self.high:
                raise ValueError(f"low ({self.low:g}) must be below high ({self.high:g})")
            if self.log and (self.low <= 0 or self.step is not None):
                raise ValueError("`log: true` needs a low above 0 and no `step:`")
        if self.choices and (self.log or self.step is not None):
            raise ValueError("`log:` and `step:` belong to a range, not to `choices:`")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are tried."""
        ends = (self.low, self.high, self.step if self.step is not None else 1)
        return all(isinstance(value, int) for value in ends)


class Sweep(Section):
    """The search space and the yardstick of `understudy job sweep`.

    Attributes:
        metric: What is maximised on the validation split: of the student that is kept, measured as
            a release is (`map50_95`), or of its best epoch (`map50`).
        space: By dotted key of the job file: "training.lr0", "distillation.losses.box".
        startup_trials: Trials that explore at random before the sampler learns from them; none of
            them is stopped early.
        warmup_epochs: Epochs in which no trial is stopped early.
    """

    metric: Literal["map50_95", "map50"] = "map50_95"
    space: dict[str, Range] = Field(min_length=1, max_length=20)
    startup_trials: int = Field(default=5, ge=1, le=100)
    warmup_epochs: int = Field(default=3, ge=0, le=1000)

    @model_validator(mode="after")
    def _only_the_student(self) -> Self:
        for key in self.space:
            if key.partition(".")[0] not in SWEPT_SECTIONS or "." not in key:
                raise ValueError(
                    f"space: {key!r} cannot be swept: trials share data, teacher and gate. Keys "
                    f"start with {', '.join(f'`{name}.`' for name in SWEPT_SECTIONS)}"
                )
        return self
