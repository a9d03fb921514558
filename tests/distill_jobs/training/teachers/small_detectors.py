"""Detectors small enough to run in a test, never trained, yet with something to say."""

from typing import Any

import torch

from distill_jobs.environment import offline
from distill_jobs.recipe.networks import Student

SIDE = 64


def detector(
    name: str = "yolov8n", *, width: float | None = 0.125, names: tuple[str, ...] = ("a", "b")
) -> Any:
    """Build a detector of an architecture with scales, seeded: its answers differ by image."""
    offline()
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    from distill_jobs.training.networks import find_origin

    torch.manual_seed(0)
    shape = find_origin(Student(architecture=name, width=width)).shape
    model = DetectionModel(shape, nc=len(names), verbose=False)
    model.names = dict(enumerate(names))
    model.args = get_cfg(overrides={"imgsz": SIDE})
    _wake(model)
    return model


def _wake(model: Any) -> None:
    """Give batch norm statistics and the head weights: at birth every image is answered alike."""
    with torch.no_grad():
        for parameter in model.model[-1].parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        norms = [one for one in model.modules() if isinstance(one, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = None  # the plain average of what it sees
        model.train()(torch.rand(2, 3, 2 * SIDE, 2 * SIDE))
    model.eval()


def images(count: int = 2) -> torch.Tensor:
    """Draw noise, float [count, 3, SIDE, SIDE]."""
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
