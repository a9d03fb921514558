"""What is released: variants, the gate, licences and names."""

from typing import Literal, Self

from pydantic import Field, model_validator

from distill_jobs.recipe.section import Fraction, ReleaseName, Section

Export = Literal[
    "onnxruntime-fp32",
    "onnxruntime-fp16",
    "onnxruntime-int8",
    "onnxruntime-int8dynamic",
    "torchscript-fp32",
]


class Gate(Section):
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
