"""What a teacher costs a GPU: memory and time, by where its weights lie between two steps."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch

from distill_jobs.checkpoints import class_names, load_detector
from distill_jobs.errors import JobError
from distill_jobs.training.teachers.classes import ClassMap
from distill_jobs.training.teachers.dense import DetectorTeacher
from distill_jobs.training.teachers.residence import Offload

_RUNS = 10


@dataclass(frozen=True)
class TeacherCost:
    """One way of keeping a teacher.

    Attributes:
        offload: Where its weights lie between two steps.
        resting_bytes: Of the GPU's memory, taken between two steps.
        peak_bytes: Most taken while it answers, answers included.
        answer_ms: Median time of one answer.
    """

    offload: Offload
    resting_bytes: int
    peak_bytes: int
    answer_ms: float


def measure_offload(
    checkpoint: Path, *, batch: int, image_size: int, device: torch.device | None = None
) -> tuple[TeacherCost, ...]:
    """Measure every kind of offload on a CUDA device, one after the other.

    Args:
        checkpoint: Of the teacher.
        batch: Images an answer.
        image_size: Side of the square input, pixels.
        device: The current CUDA device when None.

    Returns:
        "none", "whole" and "layers", in this order.

    Raises:
        JobError: There is no CUDA device: the CPU's memory is where offloaded weights lie.
    """
    if not torch.cuda.is_available():
        raise JobError("offload: what it saves is a GPU's memory, and this machine has no CUDA GPU")
    place = device or torch.device("cuda", torch.cuda.current_device())
    images = torch.rand(batch, 3, image_size, image_size, device=place)
    return tuple(_measure(checkpoint, offload, images) for offload in get_args(Offload))


def _measure(checkpoint: Path, offload: Offload, images: torch.Tensor) -> TeacherCost:
    device = images.device
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(device)
    model = load_detector(checkpoint)
    names = class_names(model)
    teacher = DetectorTeacher(model, ClassMap.between(names, names), offload=offload)
    teacher.answer({"img": images})
    torch.cuda.synchronize(device)
    resting = torch.cuda.memory_allocated(device) - before
    torch.cuda.reset_peak_memory_stats(device)
    times_ms = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        teacher.answer({"img": images})
        torch.cuda.synchronize(device)
        times_ms.append(1e3 * (time.perf_counter() - start))
    peak = torch.cuda.max_memory_allocated(device) - before
    return TeacherCost(offload, resting, peak, sorted(times_ms)[_RUNS // 2])
