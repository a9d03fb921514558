"""The sections of a job file that say what is trained, and how."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)


def _resolve(path: Path, info: ValidationInfo) -> Path:
    base: Path = info.context["base"] if info.context else Path()
    return (base / path.expanduser()).resolve()


def _yaml_name(name: str) -> str:
    return name if name.endswith(".yaml") else f"{name}.yaml"


JobPath = Annotated[Path, AfterValidator(_resolve)]
Architecture = Annotated[str, Field(pattern=r"^yolo[a-z0-9.-]{1,24}$"), AfterValidator(_yaml_name)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of a job file: unknown keys are refused, and nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Training(Section):
    """How one model is trained; names and meanings are ultralytics' own.

    Attributes:
        epochs: Passes over the training split.
        batch: Images a step; the weights are updated after every batch.
        optimizer: "auto" lets ultralytics choose it and its rate, and ignores `lr0`.
        lr0: First learning rate.
        lrf: Last learning rate, as a fraction of the first.
        warmup_epochs: Epochs in which the learning rate rises to `lr0`.
        patience: Epochs without a better validation score after which training stops; 0: never.
        mosaic: How often four images are joined into one, 0 to 1.
        close_mosaic: Last epochs without mosaic; at most a quarter of all, which is the default.
        fliplr: How often an image is mirrored, 0 to 1.
        scale: Images are resized by 1 ± this.
        cos_lr: Whether the rate falls along a cosine rather than a line.
        device: "auto" (the first GPU, else the CPU), "cpu", "0"...
    """

    epochs: int = Field(ge=1, le=2000)
    batch: int = Field(default=16, ge=1, le=512)
    optimizer: Literal["auto", "SGD", "Adam", "AdamW"] = "auto"
    lr0: float = Field(default=0.01, gt=0, le=1)
    lrf: float = Field(default=0.01, gt=0, le=1)
    momentum: float = Field(default=0.937, ge=0, lt=1)
    weight_decay: float = Field(default=0.0005, ge=0, le=0.1)
    warmup_epochs: float = Field(default=3.0, ge=0, le=100)
    patience: int = Field(default=0, ge=0)
    mosaic: Fraction = 1.0
    close_mosaic: int | None = Field(default=None, ge=0)
    fliplr: Fraction = 0.5
    scale: Fraction = 0.5
    cos_lr: bool = False
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|[0-9]+)$")

    @model_validator(mode="after")
    def _mosaic_closes_late(self) -> Self:
        if self.close_mosaic is not None and self.close_mosaic > self.epochs / 4:
            limit = self.epochs // 4
            raise ValueError(
                f"close_mosaic {self.close_mosaic} is above a quarter of {self.epochs} epochs "
                f"({limit}): most of the training would see no mosaic"
            )
        return self

    @property
    def mosaic_free_epochs(self) -> int:
        """How many of the last epochs train without mosaic."""
        if self.close_mosaic is not None:
            return self.close_mosaic
        return min(10, self.epochs // 4)


class _Network(Section):
    """Weights to start from, or an architecture that ultralytics builds from nothing.

    Attributes:
        weights: A checkpoint on this machine.
        architecture: A name that ultralytics knows: "yolov8n", "yolov5s", "yolov8n.yaml"...
        depth: Multiplies how often blocks repeat, instead of the architecture's own scale.
        width: Multiplies channels, likewise.
        max_channels: Upper limit of channels before `width` applies, likewise.
    """

    weights: JobPath | None = None
    architecture: Architecture | None = None
    depth: float | None = Field(default=None, gt=0, le=2)
    width: float | None = Field(default=None, gt=0, le=2)
    max_channels: int | None = Field(default=None, ge=16, le=2048)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.weights is None) == (self.architecture is None):
            raise ValueError("give exactly one of `weights:` and `architecture:`")
        scale = (self.depth, self.width, self.max_channels)
        if self.weights is not None and any(value is not None for value in scale):
            raise ValueError("depth, width and max_channels need `architecture:`, not `weights:`")
        return self


class Teacher(_Network):
    """The model to learn from; without `train:` it is used as it is."""

    train: Training | None = None

    @model_validator(mode="after")
    def _not_untrained(self) -> Self:
        if self.architecture is not None and self.train is None:
            raise ValueError(
                "an untrained teacher teaches nothing: give `weights:`, or add `train:`"
            )
        return self


class Student(_Network):
    """The model that learns."""


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
