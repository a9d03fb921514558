"""Where the images come from."""

from typing import Self

from pydantic import Field, model_validator

from distill_jobs.recipe.section import JobPath, Section


class Scenes(Section):
    """The embedded data set: how many scenes to draw for each split, and their side in pixels."""

    train: int = Field(ge=8, le=20_000)
    val: int = Field(ge=4, le=5_000)
    test: int = Field(ge=4, le=5_000)
    size: int = Field(default=160, ge=96, le=1280, multiple_of=32)


class Data(Section):
    """Where the images come from: a data set's `data.yaml`, or drawn scenes."""

    path: JobPath | None = None
    scenes: Scenes | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.scenes is None):
            raise ValueError("give exactly one of `path:` (a data.yaml) and `scenes:`")
        return self
