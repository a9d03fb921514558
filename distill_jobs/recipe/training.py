"""How one model is trained."""

from typing import Literal, Self

from pydantic import Field, model_validator

from distill_jobs.recipe.section import Fraction, Section

MixedPrecision = Literal["auto", "bf16", "off"]


class Training(Section):
    """How one model is trained; names and meanings are ultralytics' own.

    Attributes:
        epochs: Passes over the training split.
        batch: Images a step, of all processes together under `torchrun`.
        accumulate: Batches whose gradients are summed before the weights are updated: memory of
            `batch`, steps of `batch * accumulate` images.
        optimizer: "auto" lets ultralytics choose it and its rate, and ignores `lr0`.
        lr0: First learning rate.
        lrf: Last learning rate, as a fraction of the first.
        warmup_epochs: Epochs in which the learning rate rises to `lr0`.
        warmup_bias_lr: Rate of the biases when the warm-up begins; 0 suits Adam and AdamW, and is
            what "auto" takes.
        patience: Epochs without a better validation score after which training stops; 0: never.
        mosaic: How often four images are joined into one, 0 to 1.
        close_mosaic: Last epochs without mosaic; at most a quarter of all, which is the default.
        fliplr: How often an image is mirrored, 0 to 1.
        scale: Images are resized by 1 ± this.
        translate: Images are moved by up to this share of their side.
        hsv_h: Hues are shifted by up to this share.
        hsv_s: Saturation is changed by up to this share.
        hsv_v: Brightness is changed by up to this share.
        cos_lr: Whether the rate falls along a cosine rather than a line.
        freeze_batch_norm: Whether batch statistics stay what the first weights brought.
        amp: Mixed precision: "auto" takes float16 on GPUs, after a trial in which the student must
            answer as in float32; "bf16" bfloat16 anywhere, likewise; "off" float32.
        checkpoint_batches: A training can be resumed from every so many batches, rather than from
            its last finished epoch alone; 0: from that alone.
        workers: Processes that load and augment images beside the training; a GPU wants a few. 0:
            the training's own process, in another order than with any.
        device: "auto" (the first GPU, else the CPU; each process's own GPU under `torchrun`),
            "cpu", "0"...
    """

    epochs: int = Field(ge=1, le=2000)
    batch: int = Field(default=16, ge=1, le=512)
    accumulate: int = Field(default=1, ge=1, le=256)
    optimizer: Literal["auto", "SGD", "Adam", "AdamW"] = "auto"
    lr0: float = Field(default=0.01, gt=0, le=1)
    lrf: float = Field(default=0.01, gt=0, le=1)
    momentum: float = Field(default=0.937, ge=0, lt=1)
    weight_decay: float = Field(default=0.0005, ge=0, le=0.1)
    warmup_epochs: float = Field(default=3.0, ge=0, le=100)
    warmup_bias_lr: float = Field(default=0.1, ge=0, le=1)
    patience: int = Field(default=0, ge=0)
    mosaic: Fraction = 1.0
    close_mosaic: int | None = Field(default=None, ge=0)
    fliplr: Fraction = 0.5
    scale: Fraction = 0.5
    translate: Fraction = 0.1
    hsv_h: Fraction = 0.015
    hsv_s: Fraction = 0.7
    hsv_v: Fraction = 0.4
    cos_lr: bool = False
    freeze_batch_norm: bool = False
    amp: MixedPrecision = "auto"
    checkpoint_batches: int = Field(default=0, ge=0)
    workers: int = Field(default=0, ge=0, le=64)
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
