"""The teacher and the student: where their first weights and shapes come from."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from distill_jobs.recipe.compression import Prune
from distill_jobs.recipe.section import JobPath, Section
from distill_jobs.recipe.teachers import Voice
from distill_jobs.recipe.training import Training


def _yaml_name(name: str) -> str:
    return name if name.endswith(".yaml") else f"{name}.yaml"


Architecture = Annotated[str, Field(pattern=r"^yolo[a-z0-9.-]{1,24}$"), AfterValidator(_yaml_name)]


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


class Teacher(_Network, Voice):
    """The lead: learnt from, measured, and what the student is held against.

    Attributes:
        train: How it is trained first; None uses it as it is.
    """

    train: Training | None = None

    @model_validator(mode="after")
    def _not_untrained(self) -> Self:
        if self.architecture is not None and self.train is None:
            raise ValueError(
                "an untrained teacher teaches nothing: give `weights:`, or add `train:`"
            )
        if self.train is not None and self.classes:
            raise ValueError(
                "a teacher that is trained here learns the data set's own classes: leave "
                "`classes:` out"
            )
        return self


class Student(_Network):
    """The model that learns.

    Attributes:
        prune: Cuts it narrower than its `weights:` before it is trained.
    """

    prune: Prune | None = None

    @model_validator(mode="after")
    def _only_trained_is_pruned(self) -> Self:
        if self.prune is not None and self.weights is None:
            raise ValueError(
                "`prune:` chooses among trained channels and needs `weights:`; an architecture is "
                "made narrower by `width:`"
            )
        return self
