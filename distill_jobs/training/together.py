"""A model that several processes train, each on its share of every batch."""

from collections.abc import Collection
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from distill_jobs.training.distiller import Distiller
from distill_jobs.training.normaliser import share_normalisers


def train_together(
    model: Any, trained: Collection[str], device: torch.device
) -> DistributedDataParallel:
    """Average a model's gradients over the processes, and divide its losses by what all hold.

    All must call it. Weights and buffers become the first process's.

    Args:
        model: A detector, or a distiller.
        trained: Names of its tensors that are; what else it holds stays outside.
        device: This process's.

    Returns:
        The model, wrapped.
    """
    outside = [name for name in model.state_dict() if name not in trained]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, outside)
    share_normalisers(getattr(model, "student_model", model))
    return DistributedDataParallel(
        model,
        device_ids=[device.index] if device.type == "cuda" else None,
        find_unused_parameters=_may_rest(model),
        forward_sync_buffers=False,
    )


def _may_rest(model: nn.Module) -> bool:
    """Return whether some parameters get no gradients at times: projectors before the teacher."""
    trained = [name for name, one in model.named_parameters() if one.requires_grad]
    beside = [name for name in trained if not name.startswith("student_model.")]
    return isinstance(model, Distiller) and bool(beside)
