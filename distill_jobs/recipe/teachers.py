"""How far a teacher is listened to, and teachers besides the lead."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from distill_jobs.recipe.section import Fraction, JobPath, Section

Weight = Annotated[float, Field(gt=0, le=100)]


class Voice(Section):
    """How far a teacher is listened to.

    Attributes:
        weight: Its share of the distillation losses, beside the other teachers' weights.
        classes: Its class names to the data set's, or to nothing (`~`): not listened to. Several
            of its classes may become one. Classes left out match by name.
        answers: "dense", score and box at each of the student's anchors, needs an ultralytics
            detector of the same strides; "boxes", finished detections, found once for each image
            of the data set and moved along with it through augmentation; "auto" is dense where
            that is possible.
        cache: Whether dense answers are kept on disk for pixels seen before. Worth it only where
            augmentation is letterbox and horizontal flip alone; elsewhere the teacher gives boxes
            instead, which are always kept.
        offload: Where a dense teacher's weights lie between two steps: on the training's device
            ("none"), or in the CPU's memory, brought for each step as a whole ("whole") or layer
            by layer ("layers"): slower, for small GPUs.
        min_score: Finished detections below it are left out.
    """

    weight: Weight = 1.0
    classes: dict[str, str | None] = Field(default_factory=dict)
    answers: Literal["auto", "dense", "boxes"] = "auto"
    cache: bool = False
    offload: Literal["none", "whole", "layers"] = "none"
    min_score: Fraction = 0.1


_SOURCES = ("weights", "onnx", "torchscript", "detections")


class FurtherTeacher(Voice):
    """A teacher besides the lead: used as it is, neither trained nor measured.

    Attributes:
        weights: A checkpoint that ultralytics loads, RT-DETR included.
        onnx: An exported detector, float32, one image input; for example a legacy YOLOv5.
        torchscript: Likewise, traced or scripted.
        detections: What a detector said of the training images, JSON Lines; see
            `training/teachers/stored.py`.
        layout: Of an exported detector's output: "yolov5" is [N, A, 5 + classes], with an
            objectness before the class scores; "yolov8" is [N, 4 + classes, A]. Boxes are
            cx, cy, w, h in pixels of its input, scores 0 to 1.
        class_names: Index = class id; needed where the file does not say them.
        image_size: Side of its square input where it gives boxes; the job's own when None, or what
            an exported file fixes.
    """

    weights: JobPath | None = None
    onnx: JobPath | None = None
    torchscript: JobPath | None = None
    detections: JobPath | None = None
    layout: Literal["yolov5", "yolov8"] | None = None
    class_names: tuple[str, ...] | None = Field(default=None, min_length=1)
    image_size: int | None = Field(default=None, ge=32, le=4096)

    @property
    def source(self) -> str:
        """Which of "weights", "onnx", "torchscript" and "detections" is given."""
        return next(name for name in _SOURCES if getattr(self, name) is not None)

    @property
    def file(self) -> Path:
        """The file behind it."""
        path: Path = getattr(self, self.source)
        return path

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(getattr(self, name) is not None for name in _SOURCES) != 1:
            raise ValueError(
                "give exactly one of `weights:`, `onnx:`, `torchscript:` and `detections:`"
            )
        return self

    @model_validator(mode="after")
    def _layout_is_known(self) -> Self:
        exported = self.source in ("onnx", "torchscript")
        if exported and self.layout is None:
            raise ValueError(
                f"`{self.source}:` needs `layout: yolov5` ([N, A, 5 + classes]) or "
                "`layout: yolov8` ([N, 4 + classes, A])"
            )
        if not exported and self.layout is not None:
            raise ValueError("`layout:` belongs to `onnx:` and `torchscript:`")
        return self

    @model_validator(mode="after")
    def _a_checkpoint_says_enough(self) -> Self:
        if self.source != "weights":
            return self
        if self.class_names is not None:
            raise ValueError("a checkpoint names its classes itself: leave `class_names:` out")
        if self.image_size is not None and self.answers != "boxes":
            raise ValueError(
                "a dense teacher sees the student's own input: with `image_size:` say "
                "`answers: boxes`"
            )
        return self

    @model_validator(mode="after")
    def _only_a_checkpoint_is_dense(self) -> Self:
        dense = self.answers == "dense" or self.cache or self.offload != "none"
        if self.source != "weights" and dense:
            raise ValueError(
                f"`{self.source}:` gives finished boxes: `answers: dense`, `cache:` and "
                "`offload:` belong to `weights:`"
            )
        if self.source == "detections" and self.image_size is not None:
            raise ValueError(
                "stored detections count the original image's pixels: no `image_size:`"
            )
        return self
