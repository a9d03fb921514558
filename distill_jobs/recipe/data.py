"""Where the images come from, how they are split, and what is let in."""

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from distill_jobs.recipe.section import Fraction, JobPath, Section


class Scenes(Section):
    """The embedded data set: how many scenes to draw for each split, and their side in pixels.

    Attributes:
        unlabelled: Scenes beside the train split whose objects nobody wrote down.
    """

    train: int = Field(ge=8, le=20_000)
    val: int = Field(ge=4, le=5_000)
    test: int = Field(ge=4, le=5_000)
    unlabelled: int = Field(default=0, ge=0, le=20_000)
    size: int = Field(default=160, ge=96, le=1280, multiple_of=32)


class SplitFractions(Section):
    """Shares of the pool; `test: 0` makes no test split."""

    train: float = Field(default=0.7, gt=0, lt=1)
    val: float = Field(default=0.15, gt=0, lt=1)
    test: Fraction = 0.15

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, val and test must sum to 1, not {total:g}")
        return self


class Split(Section):
    """How one pool, every labelled image of the data set, is split anew.

    Attributes:
        by: "camera" keeps each camera on one side; "time" gives the oldest images to train and the
            newest to test; "random" draws by the picture's own digest, so that a data set that
            grows keeps every older image where it was.
        pattern: Searched in an image's path relative to the data.yaml's folder, with forward
            slashes; a named group holds the camera or the time: `(?P<camera>cam[0-9]+)`. Times
            are ordered as numbers where all are digits, else as text (ISO 8601 sorts right); what
            has the same time stays together, so capturing only the hour keeps hours whole.
        fractions: Of images, met as closely as whole cameras and times allow.
        seed: Of the draw. It is not the job's: repeats of a job must share one split.
    """

    by: Literal["camera", "time", "random"]
    pattern: str | None = None
    fractions: SplitFractions = SplitFractions()
    seed: int = Field(default=0, ge=0, le=2**31)

    @model_validator(mode="after")
    def _pattern_finds_the_key(self) -> Self:
        if self.by == "random":
            if self.pattern is not None:
                raise ValueError("`pattern:` means nothing with `by: random`: remove it")
            return self
        if self.pattern is None:
            raise ValueError(f"`by: {self.by}` needs a `pattern:` with a group (?P<{self.by}>...)")
        try:
            groups = re.compile(self.pattern).groupindex
        except re.error as error:
            raise ValueError(f"`pattern:` is no regular expression: {error}") from error
        if self.by not in groups:
            raise ValueError(f"`pattern:` lacks the group (?P<{self.by}>...)")
        return self


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_more), Field(min_length=1)]
Places = Annotated[tuple[JobPath, ...], BeforeValidator(_one_or_more)]


class Data(Section):
    """Where the images come from: a data set's `data.yaml`, or drawn scenes.

    Attributes:
        path: The `data.yaml`.
        scenes: Drawn instead.
        classes: Class by class what the student learns, in this order, each from one or several of
            the data set's own: `{vehicle: [car, truck], person: person}`. Objects of classes that
            are not named are dropped. None keeps all as they are.
        split: None keeps the data set's own splits.
        unlabelled: Folders or lists (.txt) of images that the teacher alone explains.
        max_unlabelled_share: Of all images that are trained on.
        max_faulty_share: More images than this with something broken refuse the data set;
            one alone does where it is 0.
        near_duplicates: Whether almost the same picture on two sides of a split is listed or
            refused. The very same picture is always refused.
        near_duplicate_bits: Two pictures whose perceptual hashes differ in at most this many of 64
            bits are almost the same.
        parent: The `data.lock` that this data set grew from.
    """

    path: JobPath | None = None
    scenes: Scenes | None = None
    classes: dict[str, Names] | None = Field(default=None, min_length=1)
    split: Split | None = None
    unlabelled: Places = ()
    max_unlabelled_share: float = Field(default=0.5, ge=0, lt=1)
    max_faulty_share: Fraction = 0.05
    near_duplicates: Literal["list", "refuse"] = "list"
    near_duplicate_bits: int = Field(default=6, ge=0, le=16)
    parent: JobPath | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.scenes is None):
            raise ValueError("give exactly one of `path:` (a data.yaml) and `scenes:`")
        if self.scenes is not None:
            idle = sorted(self.model_fields_set - {"scenes", "path"})
            if idle:
                raise ValueError(
                    f"`{idle[0]}:` means nothing with `scenes:`, which are drawn whole; remove it"
                )
        return self

    @model_validator(mode="after")
    def _classes_are_used_once(self) -> Self:
        sources = [name for names in (self.classes or {}).values() for name in names]
        for name in sources:
            if sources.count(name) > 1:
                raise ValueError(f"`classes:` names {name!r} twice: an object has one class")
        return self
