"""In which precision a student is trained, found out on the machine itself.

Ultralytics tries a network of its own that it would have to download. Here the student itself
answers a few images twice, in float32 and in the lower precision.
"""

import copy
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from distill_jobs.recipe.training import MixedPrecision

# Beyond what rounding does to a healthy network, far below what an overflow does.
MAX_SCORE_DIFFERENCE = 0.1
MAX_BOX_DIFFERENCE = 0.1
_PROBE_IMAGES = 2


@dataclass(frozen=True)
class Precision:
    """What forward passes are computed in.

    Attributes:
        dtype: Lower precision of autocast, or None: float32 throughout.
        doubt: Why a wish for less than float32 was not granted; empty where it was, or none made.
    """

    dtype: torch.dtype | None = None
    doubt: str = ""

    @property
    def scaled(self) -> bool:
        """Whether gradients would underflow without a scaler: float16's five exponent bits."""
        return self.dtype is torch.float16

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """Return the context of a forward pass."""
        return torch.autocast(device.type, dtype=self.dtype, enabled=self.dtype is not None)


def choose_precision(
    wish: MixedPrecision, student: nn.Module, device: torch.device, image_size: int
) -> Precision:
    """Grant a wish for mixed precision if the student's answers survive it here.

    Args:
        wish: "auto": float16 on GPUs, else float32; "bf16"; "off".
        student: Detector, float32, on `device`; left as it is.
        device: Where it is trained.
        image_size: Side of its input, pixels.

    Returns:
        The precision.
    """
    dtype = _wished(wish, device)
    if dtype is None:
        return Precision()
    doubt = probe(student, device, image_size, dtype)
    return Precision(None if doubt else dtype, doubt)


def probe(model: nn.Module, device: torch.device, image_size: int, dtype: torch.dtype) -> str:
    """Compare a detector's answers in float32 and in a lower precision.

    Args:
        model: Detector, float32, on `device`; left as it is.
        device: Its own.
        image_size: Side of its input, pixels.
        dtype: The lower precision.

    Returns:
        What is wrong with the lower one's answers, or an empty string.
    """
    tested = copy.deepcopy(model).eval()
    source = torch.Generator().manual_seed(0)  # its own: the training's random states stay
    side = min(image_size, 320)
    images = torch.rand(_PROBE_IMAGES, 3, side, side, generator=source).to(device)
    with torch.no_grad():
        exact = _raw(tested(images))
    tested = copy.deepcopy(model).eval()  # the head keeps anchors in the first answer's precision
    try:
        with torch.no_grad(), torch.autocast(device.type, dtype=dtype):
            rounded = _raw(tested(images))
    except RuntimeError as error:
        return f"the forward pass fails ({str(error).splitlines()[0]})"
    return _compare(exact, rounded)


def _wished(wish: MixedPrecision, device: torch.device) -> torch.dtype | None:
    if wish == "bf16":
        return torch.bfloat16
    return torch.float16 if wish == "auto" and device.type == "cuda" else None


def _raw(answer: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return float32 scores, 0 to 1, and what boxes are decoded from."""
    raw = answer[1] if isinstance(answer, tuple) else answer
    raw = raw.get("one2many", raw)
    return raw["scores"].float().sigmoid(), raw["boxes"].float()


def _compare(
    exact: tuple[torch.Tensor, torch.Tensor], rounded: tuple[torch.Tensor, torch.Tensor]
) -> str:
    if not all(bool(torch.isfinite(part).all()) for part in rounded):
        return "its answers are not finite"
    scores = float((exact[0] - rounded[0]).abs().max())
    if scores > MAX_SCORE_DIFFERENCE:
        return f"scores differ by {scores:.2g}, and {MAX_SCORE_DIFFERENCE} is allowed"
    boxes = float((exact[1] - rounded[1]).norm() / exact[1].norm().clamp(min=1e-9))
    if boxes > MAX_BOX_DIFFERENCE:
        return f"boxes differ by {boxes:.2g} of their size, and {MAX_BOX_DIFFERENCE} is allowed"
    return ""
