"""The processes of one training under `torchrun`; a lone process is the first of one.

`torchrun` says in the environment who is who. Every process trains on its share of each batch and
they average their gradients; the first alone writes files and reports.
"""

import gc
import os
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed

from distill_jobs.environment import process_count, process_rank

_Content = TypeVar("_Content")
# The others wait while the first reads labels, draws scenes or writes checkpoints.
_PATIENCE = timedelta(hours=3)


def count() -> int:
    """Return how many processes train together."""
    return process_count()


def joined() -> int:
    """Return among how many processes sums are shared now: alone once they have parted."""
    return count() if distributed.is_initialized() else 1


def rank() -> int:
    """Return this process's number, 0 for the first."""
    return process_rank()


def local_rank() -> int:
    """Return this process's number on its machine, which is also that of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0")) if count() > 1 else 0


def leads() -> bool:
    """Return whether this is the process that writes files and reports."""
    return rank() == 0


def join() -> None:
    """Meet the other processes; does nothing for a lone one, or once they have met."""
    if count() == 1 or distributed.is_initialized():
        return
    backend = "gloo"
    if torch.cuda.is_available() and distributed.is_nccl_available():
        torch.cuda.set_device(local_rank())
        backend = "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend, timeout=_PATIENCE)


def leave() -> None:
    """Part from the other processes; does nothing for a lone one.

    Nobody may hold the trained model any more: a wrapped model holds the group's threads, and those
    that live until the interpreter ends can abort it (pytorch issue 190489).
    """
    if distributed.is_initialized():
        gc.collect()  # trainers are cycles
        distributed.destroy_process_group()


def from_first(content: _Content) -> _Content:
    """Return what the first process gave; all must call it."""
    if count() == 1:
        return content
    box: list[Any] = [content if leads() else None]
    distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    told: _Content = box[0]
    return told


def gathered(content: _Content) -> list[_Content]:
    """Return what each process gave, by rank; all must call it."""
    if count() == 1:
        return [content]
    given: list[Any] = [None] * count()
    distributed.all_gather_object(given, content)
    return given


def mean(value: torch.Tensor) -> torch.Tensor:
    """Return a tensor's mean over the processes; all must call it, with one shape.

    A loss that is divided by a sum over the batch must divide by this mean of the processes' sums:
    gradients are then those of one process with the joint batch (as in DETR's `num_boxes`).

    Args:
        value: float, any shape; without gradients.

    Returns:
        The same shape; `value` itself for a lone process.
    """
    if joined() == 1:
        return value
    total = value.detach().clone()
    distributed.all_reduce(total)
    return total / joined()


def everywhere(flag: bool) -> bool:
    """Return whether all processes say so; all must call it."""
    if count() == 1:
        return flag
    vote = torch.tensor(int(flag))
    distributed.all_reduce(vote, op=distributed.ReduceOp.MIN)
    return bool(vote.item())


def share_first(tensors: list[torch.Tensor]) -> None:
    """Overwrite tensors in place by the first process's; all must call it."""
    if count() > 1:
        for tensor in tensors:
            distributed.broadcast(tensor, src=0)
