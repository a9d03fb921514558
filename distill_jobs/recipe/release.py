"""What is released: variants, the gate, licences and names."""

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from distill_jobs.recipe.section import Fraction, JobPath, ReleaseName, Section

# A quantile that lies between the last few resamples moves with each of them.
_MIN_RESAMPLES_BEYOND = 10

Export = Literal[
    "onnxruntime-fp32",
    "onnxruntime-fp16",
    "onnxruntime-int8",
    "onnxruntime-int8dynamic",
    "openvino-fp32",
    "openvino-bf16",
    "openvino-int8",
    "openvino-int8bf16",
    "torchscript-fp32",
]
# OpenVINO's where it is faster than ONNX Runtime; its FP32 is not.
DEFAULT_EXPORTS: tuple[Export, ...] = (
    "onnxruntime-fp32",
    "onnxruntime-int8",
    "openvino-bf16",
    "openvino-int8",
    "openvino-int8bf16",
    "torchscript-fp32",
)


class Gate(Section):
    """What a release must reach, on images that chose nothing.

    Every figure is reported with its bounds; a limit that is not given is not asked for, nor is a
    floor of 0. One that is given and cannot be measured refuses. A share "of the teacher's" is
    student over teacher on the same images, 0 to 1 and beyond.

    Attributes:
        min_retention_map50: Of the teacher's mAP50.
        min_retention_map50_95: Of its mAP50-95.
        min_class_retention_map50: Of its AP50, for each class by itself.
        min_size_retention_map50_95: Of its mAP50-95, for small, medium and large objects by
            themselves (COCO: areas below 32², below 96², and the rest, in pixels of the original).
        min_recall_retention: Of its recall, both at their own operating thresholds.
        min_precision_retention: Of its precision, likewise.
        min_instances: A class or size of fewer labels is not judged by itself, and that is said.
        min_images: Where fewer images hold such objects there are no bounds, since a bootstrap
            draws images: with `confidence` a class or size is not judged then, and all together
            are refused.
        max_int8_drop_map50_95: How much mAP50-95 a reduced precision may lose (0.005: half a
            point); a variant that loses more is left out of the card.
        min_matched_f1: Detections of a reduced precision matched with FP32's, as F1.
        max_file_mb: Megabytes (10^6 bytes) of the default variant's weights.
        max_size_ratio: Those bytes over those of the teacher's default variant.
        max_latency_ratio: Time for one image over the teacher's, default variants, in turns.
        confidence: Compare bounds of this one-sided confidence, 0.95 for example, with the limits;
            None compares the figures themselves.
        resamples: Of the bootstrap; at least 10 lie beyond each bound.
        frames: Folder of unlabelled images on which teacher and student must agree.
        min_agreement_f1: There, and wherever there are no labels: lower bound of their F1.
        min_frames: So many images that bound needs.
        min_frame_boxes: So many boxes of the teacher on them, too: silence agrees with anything.
        live: Archive (.mar) of the model that serves now; its figures on the same images count.
        max_live_drop_map50_95: How much lower than the live model's the mAP50-95 may be.
        max_live_drop_f1: The same of the agreement with the teacher, where there are no labels.
        accept_val: Judge on `val`, which chose the checkpoint, where there is no `test` split.
    """

    min_retention_map50: Fraction = 0.9
    min_retention_map50_95: Fraction | None = None
    min_class_retention_map50: Fraction | None = None
    min_size_retention_map50_95: Fraction | None = None
    min_recall_retention: Fraction | None = None
    min_precision_retention: Fraction | None = None
    min_instances: int = Field(default=20, ge=1)
    min_images: int = Field(default=10, ge=1)
    max_int8_drop_map50_95: Fraction = 0.005
    min_matched_f1: Fraction = 0.97
    max_file_mb: float | None = Field(default=None, gt=0)
    max_size_ratio: float | None = Field(default=None, gt=0)
    max_latency_ratio: float | None = Field(default=None, gt=0)
    confidence: float | None = Field(default=None, gt=0.5, lt=1)
    resamples: int = Field(default=1000, ge=200, le=20_000)
    frames: JobPath | None = None
    min_agreement_f1: Fraction = 0.75
    min_frames: int = Field(default=100, ge=1)
    min_frame_boxes: int = Field(default=50, ge=1)
    live: JobPath | None = None
    max_live_drop_map50_95: Fraction = 0.01
    max_live_drop_f1: Fraction = 0.02
    accept_val: bool = False

    @model_validator(mode="after")
    def _bounds_within_the_resamples(self) -> Self:
        beyond = self.resamples * (1 - (self.confidence or 0.5))
        if round(beyond, 6) < _MIN_RESAMPLES_BEYOND:
            needed = math.ceil(round(_MIN_RESAMPLES_BEYOND / (1 - (self.confidence or 0.5)), 6))
            raise ValueError(
                f"confidence {self.confidence:g} leaves {beyond:.1f} of {self.resamples} resamples "
                f"beyond a bound, too few to place it: give resamples: {needed} or more"
            )
        return self


class Licences(Section):
    """Licences that travel in the card, as SPDX names where they have one."""

    code: str = Field(default="AGPL-3.0-or-later", min_length=1)
    weights: str = Field(default="AGPL-3.0-or-later", min_length=1)
    data: str = Field(min_length=1)


class Archive(Section):
    """Names of the two archives: NAME-VERSION.mar."""

    teacher_name: ReleaseName
    student_name: ReleaseName

    @model_validator(mode="after")
    def _two_names(self) -> Self:
        if self.teacher_name == self.student_name:
            raise ValueError("teacher_name and student_name must differ: archives are immutable")
        return self
