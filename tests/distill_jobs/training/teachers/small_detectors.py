"""Untrained detectors small enough to run in a test."""

from typing import Any

import torch

from distill_jobs.environment import offline
from distill_jobs.recipe.networks import Student

SIDE = 64


def detector(
    name: str = "yolov8n", *, width: float | None = 0.125, names: tuple[str, ...] = ("a", "b")
) -> Any:
    """Build a detector of an architecture with scales, seeded."""
    offline()
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    from distill_jobs.training.networks import find_origin

    torch.manual_seed(0)
    shape = find_origin(Student(architecture=name, width=width)).shape
    model = DetectionModel(shape, nc=len(names), verbose=False)
    model.names = dict(enumerate(names))
    model.args = get_cfg(overrides={"imgsz": SIDE})
    return model


def images(count: int = 2) -> torch.Tensor:
    """Draw noise, float [count, 3, SIDE, SIDE]."""
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
