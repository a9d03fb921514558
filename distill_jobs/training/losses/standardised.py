"""Features freed of each channel's own scale."""

import torch

_EPSILON = 1e-6


def standardised(features: torch.Tensor) -> torch.Tensor:
    """Give each channel mean 0 and standard deviation 1 over the batch and its places.

    Teacher and student work at different scales, and some channels dwarf the others; what is left
    is the pattern. It is batch normalisation without affine parameters (Ioffe and Szegedy, 2015);
    of several processes each takes its own batch's statistics.

    Args:
        features: float [N, C, H, W].

    Returns:
        float32, same shape; a constant channel becomes 0.
    """
    features = features.float()
    mean = features.mean(dim=(0, 2, 3), keepdim=True)
    variance = features.var(dim=(0, 2, 3), keepdim=True, correction=0)
    return (features - mean) / (variance + _EPSILON).sqrt()
