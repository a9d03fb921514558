"""Untrained students and teachers, and teachers that answer what a test says."""

from dataclasses import dataclass
from typing import Any

import torch

from distill_jobs.environment import offline
from distill_jobs.recipe.distillation import Distillation
from distill_jobs.recipe.networks import Student

SIDE = 64


def build(name: str, *, width: float | None = 0.125, names: tuple[str, ...] = ("a", "b")) -> Any:
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


def dense(model: Any, weight: float = 1.0) -> Any:
    """Seat a detector as a teacher that knows the student's classes."""
    from distill_jobs.training.teachers.classes import ClassMap
    from distill_jobs.training.teachers.dense import DetectorTeacher

    names = tuple(model.names.values())
    return DetectorTeacher(model, ClassMap.between(names, names), weight=weight)


def distiller(teachers: Any, student: Any, **changes: Any) -> Any:
    """Seat teachers beside a student; `changes` are keys of `distillation:`."""
    from distill_jobs.training.distiller import Distiller

    teachers = teachers if isinstance(teachers, tuple) else (dense(teachers),)
    return Distiller(teachers, student, Distillation(**changes)).train()


def batch(objects: int = 2) -> dict[str, torch.Tensor]:
    """Draw two images of noise; all objects are in the first."""
    generator = torch.Generator().manual_seed(1)
    return {
        "img": torch.rand(2, 3, SIDE, SIDE, generator=generator),
        "batch_idx": torch.zeros(objects),
        "cls": torch.zeros(objects, 1),
        "bboxes": torch.full((objects, 4), 0.5),
    }


@dataclass(frozen=True)
class Saying:
    """A teacher that always gives one answer."""

    given: Any
    weight: float = 1.0
    shape: Any = None

    def answer(self, batch: dict[str, torch.Tensor]) -> Any:
        return self.given
