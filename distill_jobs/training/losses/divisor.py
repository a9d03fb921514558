"""What the losses of a batch are divided by."""

import torch

from distill_jobs.training import ranks


def shared_sum(weights: torch.Tensor, *, least: float = 1.0) -> torch.Tensor:
    """Return the sum of weights over the batch, and over all processes of one training.

    Several processes divide by the mean of their sums, so that their gradients, averaged, are those
    of one process with the joint batch; see `ranks.mean`.

    Args:
        weights: float, any shape, 0 or above; no gradient flows into it.
        least: Floor of the joint sum.

    Returns:
        float scalar.
    """
    return ranks.mean(weights.detach().sum()).clamp(min=least / ranks.joined())
