"""What makes a student smaller: pruning before its training, fine-tuning of its INT8 form after."""

from typing import Self

from pydantic import Field, model_validator

from distill_jobs.recipe.section import Fraction, Section


class Prune(Section):
    """How narrow a student is cut from its weights, before it is trained: one of three targets.

    The search takes the widest network that reaches the target.

    Attributes:
        keep: Share of the channels that stays, the same in every layer, up to the next multiple
            of 8.
        latency_ratio: Its run in ONNX Runtime takes at most this share of the unpruned one's,
            timed in turns on this machine at the job's image size, one thread.
        max_parameters: It has at most as many parameters; the deepest layers, which hold most of
            them, are cut most.
    """

    keep: float | None = Field(default=None, ge=0.1, le=1)
    latency_ratio: float | None = Field(default=None, gt=0, lt=1)
    max_parameters: int | None = Field(default=None, ge=10_000)

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        targets = (self.keep, self.latency_ratio, self.max_parameters)
        if sum(target is not None for target in targets) != 1:
            raise ValueError("give exactly one of `keep:`, `latency_ratio:` and `max_parameters:`")
        return self


class FineTuning(Section):
    """How INT8 is trained where calibrating alone loses more than the gate allows (`qat:`).

    Attributes:
        epochs: Passes over the training split.
        batch: Images a step.
        lr0: First learning rate of AdamW; it falls to 0 along a cosine. Ten times the default
            already cost a trained yolov8n seven points of agreement.
        teacher: Share of the loss that asks for the teacher's answers; the rest asks for those that
            the student gave before it was quantized.
        float_layers: How many of the first layers stay float.
    """

    epochs: int = Field(default=3, ge=1, le=200)
    batch: int = Field(default=8, ge=1, le=256)
    lr0: float = Field(default=1e-5, gt=0, le=0.1)
    teacher: Fraction = 0.5
    float_layers: int = Field(default=2, ge=0, le=20)
