"""Rounding to the steps of a quantized tensor, with gradients."""

from typing import Any

import torch


class _Rounding(torch.autograd.Function):
    """Rounds in few passes over the values: autograd's own would keep six tensors for each."""

    @staticmethod
    def forward(
        ctx: Any, values: torch.Tensor, scale: torch.Tensor, low: float, high: float
    ) -> torch.Tensor:
        steps = values / scale
        clamped = steps.clamp(low, high)
        inside = clamped == steps
        rounded = clamped.round_().mul_(scale)
        ctx.save_for_backward(values, scale, rounded, inside)
        return rounded

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        values, scale, rounded, inside = ctx.saved_tensors
        passed = gradients[0] * inside
        felt = torch.mul(gradients[0], rounded).sub_(passed * values)
        return passed, felt.sum_to_size(scale.shape) / scale, None, None


def fake_quantize(
    values: torch.Tensor, scale: torch.Tensor, low: float, high: float
) -> torch.Tensor:
    """Round values to the steps of a quantized tensor; gradients pass as if it had not.

        v̂ = s · round(clamp(v / s, low, high))

    Esser et al., "Learned Step Size Quantization", ICLR 2020, equation 3: the gradient of v is that
    of v̂ within the range and 0 outside; that of the step s is (v̂ − v) / s within and v̂ / s outside.

    Args:
        values: Any shape.
        scale: Size of a step, above 0; broadcasts to `values`.
        low: Lowest step, zero point already taken away.
        high: Highest step, likewise.

    Returns:
        As `values`.
    """
    rounded: torch.Tensor = _Rounding.apply(values, scale, low, high)
    return rounded
