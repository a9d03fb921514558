"""The job file: YAML in, one frozen model out; every error names the file, the line and the key."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from distill_jobs.errors import JobFileInvalid
from distill_jobs.yaml_lines import Document


def _resolve(path: Path, info: ValidationInfo) -> Path:
    base: Path = info.context["base"] if info.context else Path()
    return (base / path.expanduser()).resolve()


def _yaml_name(name: str) -> str:
    return name if name.endswith(".yaml") else f"{name}.yaml"


JobPath = Annotated[Path, AfterValidator(_resolve)]
Architecture = Annotated[str, Field(pattern=r"^yolo[a-z0-9.-]{1,24}$"), AfterValidator(_yaml_name)]
ReleaseName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Export = Literal["onnxruntime-fp32", "onnxruntime-int8", "torchscript-fp32"]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Scenes(_Section):
    """The embedded data set: how many scenes to draw for each split, and their side in pixels."""

    train: int = Field(ge=8, le=20_000)
    val: int = Field(ge=4, le=5_000)
    test: int = Field(ge=4, le=5_000)
    size: int = Field(default=160, ge=96, le=1280, multiple_of=32)


class Data(_Section):
    """Where the images come from: a data set's `data.yaml`, or drawn scenes."""

    path: JobPath | None = None
    scenes: Scenes | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.scenes is None):
            raise ValueError("give exactly one of `path:` (a data.yaml) and `scenes:`")
        return self


class Training(_Section):
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


class _Network(_Section):
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


class Losses(_Section):
    """Weights of the distillation losses; 0 leaves one out.

    Attributes:
        classes: Per-class binary distillation (`class:` in the file).
        box: Box distillation by GIoU.
    """

    classes: float = Field(default=1.0, ge=0, le=100, alias="class")
    box: float = Field(default=2.0, ge=0, le=100)


class Schedule(_Section):
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


class Distillation(_Section):
    """What the student takes from its teacher, and when."""

    losses: Losses = Losses()
    schedule: Schedule = Schedule()


class Gate(_Section):
    """What a release must reach.

    Attributes:
        min_retention_map50: Student's mAP50 over its teacher's.
        max_int8_drop_map50_95: How much mAP50-95 a reduced precision may lose (0.005: half a
            point); a variant that loses more is left out of the card.
        min_matched_f1: Detections of a reduced precision matched with FP32's, as F1.
    """

    min_retention_map50: Fraction = 0.9
    max_int8_drop_map50_95: Fraction = 0.005
    min_matched_f1: Fraction = 0.97


class Licences(_Section):
    """Licences that travel in the card, as SPDX names where they have one."""

    code: str = Field(default="AGPL-3.0-or-later", min_length=1)
    weights: str = Field(default="AGPL-3.0-or-later", min_length=1)
    data: str = Field(min_length=1)


class Archive(_Section):
    """Names of the two archives: NAME-VERSION.mar."""

    teacher_name: ReleaseName
    student_name: ReleaseName

    @model_validator(mode="after")
    def _two_names(self) -> Self:
        if self.teacher_name == self.student_name:
            raise ValueError("teacher_name and student_name must differ: archives are immutable")
        return self


class Job(_Section):
    """One job: data, teacher, student, and what is released.

    Attributes:
        name: Of the job and its run folder.
        version: Of the archives, "1.0".
        image_size: Side of the square that the networks see, pixels.
        student: None trains the teacher alone.
        training: Of the student.
        distillation: None trains the student without its teacher.
        archive: None ends the job after training.
    """

    name: ReleaseName
    version: str = Field(default="1.0", pattern=r"^[0-9]+(\.[0-9]+){1,2}$")
    task: Literal["detection"] = "detection"
    seed: int = Field(default=0, ge=0, le=2**31)
    image_size: int = Field(ge=64, le=1280, multiple_of=32)
    data: Data
    teacher: Teacher
    student: Student | None = None
    training: Training | None = None
    distillation: Distillation | None = None
    exports: tuple[Export, ...] = Field(
        default=("onnxruntime-fp32", "onnxruntime-int8", "torchscript-fp32"), min_length=1
    )
    gate: Gate = Gate()
    licences: Licences
    archive: Archive | None = None

    @classmethod
    def load(cls, file: Path, *, base: Path | None = None) -> "Job":
        """Read and check a job file.

        Args:
            file: The YAML file.
            base: Where its relative paths start; its own folder when None.

        Returns:
            The job, every path absolute and every `${VARIABLE}` filled in.

        Raises:
            JobFileInvalid: The first fault: its line, its key, and what to do.
        """
        file = Path(file)
        document = Document(file)
        try:
            return cls.model_validate(
                document.content, context={"base": base or file.resolve().parent}
            )
        except ValidationError as error:
            fault = error.errors()[0]
            place = tuple(fault["loc"])
            key = ".".join(str(step) for step in place)
            problem = _explain(fault["type"], fault["msg"], fault.get("input"))
            raise JobFileInvalid(file, document.line(place), key, problem) from error

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        if (self.student is None) != (self.training is None):
            raise ValueError("`student:` and `training:` go together: give both, or neither")
        if self.distillation is not None and self.training is not None:
            schedule = self.distillation.schedule
            quiet = schedule.warmup_epochs + schedule.ramp_epochs
            if quiet > self.training.epochs:
                raise ValueError(
                    f"distillation.schedule: warmup_epochs + ramp_epochs is {quiet}, more than "
                    f"training.epochs ({self.training.epochs}): the teacher would never be heard"
                )
        if self.student is None and (self.distillation or self.archive):
            raise ValueError("`distillation:` and `archive:` need a `student:`")
        return self


def _explain(kind: str, message: str, value: object) -> str:
    if kind == "extra_forbidden":
        return "unknown key: see `understudy job run --help` for the sections"
    if kind == "missing":
        return "is missing"
    message = message.removeprefix("Value error, ")
    if isinstance(value, str | int | float | bool):
        return f"{message}; it is {value!r}"
    return message
