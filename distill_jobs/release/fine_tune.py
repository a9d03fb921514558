"""Training a quantized graph until it answers as its float original and the teacher do."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from distill_jobs.errors import TrainingFailed
from distill_jobs.recipe.compression import FineTuning
from distill_jobs.training.losses.boxes import giou_box_distillation
from distill_jobs.training.losses.classes import binary_class_distillation

_BOX_WEIGHT = 2.0
_MAX_GRADIENT = 10.0
# A score is read back as a logit; beyond ±16 neither the score nor its gradient is worth anything.
_LOWEST_SCORE = 1e-7


@dataclass(frozen=True)
class Lesson:
    """What a quantized graph is trained with.

    Attributes:
        files: Images of the training split; no labels are needed.
        load: Reads one as the network sees it: float32 [3, H, W], 0 to 1.
        models: Whom to answer like, each with its share of the loss: frozen modules that answer
            float32 [N, 4 + classes, anchors].
        settings: Of the job file.
        seed: Of the order of the images and of which are mirrored.
    """

    files: Sequence[Path]
    load: Callable[[Path], npt.NDArray[np.float32]]
    models: Sequence[tuple[float, nn.Module]]
    settings: FineTuning
    seed: int = 0

    @property
    def batches(self) -> int:
        """How many steps an epoch has."""
        return math.ceil(len(self.files) / self.settings.batch)


def fine_tune(
    student: nn.Module, lesson: Lesson, *, on_batch: Callable[[], None] = lambda: None
) -> tuple[float, ...]:
    """Train a module to answer like others; batch norms are folded, so nothing else moves.

    Args:
        student: Answers as the lesson's models do; changed in place.
        lesson: What it learns from.
        on_batch: Told after each step.

    Returns:
        Mean loss of each epoch.

    Raises:
        TrainingFailed: The loss left the finite numbers.
    """
    settings = lesson.settings
    generator = np.random.default_rng(lesson.seed)
    optimizer = torch.optim.AdamW(student.parameters(), lr=settings.lr0, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, settings.epochs * lesson.batches
    )
    epoch_losses = []
    for _ in range(settings.epochs):
        losses = []
        for images in _batches(lesson, generator):
            loss = _loss(student, lesson.models, images)
            if not torch.isfinite(loss):
                raise TrainingFailed("qat: the loss left the finite numbers: lower `qat.lr0`")
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch annotates it not
            nn.utils.clip_grad_norm_(student.parameters(), _MAX_GRADIENT)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            on_batch()
        epoch_losses.append(sum(losses) / len(losses))
    return tuple(epoch_losses)


def answer_distance(answers: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Compare two dense answers by the distillation losses: classes, and twice the boxes.

    Args:
        answers: float [N, 4 + C, A]: cx, cy, w, h in pixels, scores 0 to 1; gradients flow here.
        wanted: Of the same shape.

    Returns:
        float scalar, 0 where both are equal.
    """
    scores = wanted[:, 4:]
    classes = binary_class_distillation(_logits(answers[:, 4:]), _logits(scores))
    boxes = giou_box_distillation(_corners(answers), _corners(wanted), scores.amax(dim=1))
    return classes + _BOX_WEIGHT * boxes


def _loss(
    student: nn.Module, models: Sequence[tuple[float, nn.Module]], images: torch.Tensor
) -> torch.Tensor:
    answers = student(images)
    total = torch.zeros(())
    for share, model in models:
        with torch.no_grad():
            wanted = model(images)
        total = total + share * answer_distance(answers, wanted)
    return total


def _batches(lesson: Lesson, generator: np.random.Generator) -> Iterator[torch.Tensor]:
    order = generator.permutation(len(lesson.files))
    for start in range(0, len(order), lesson.settings.batch):
        places = order[start : start + lesson.settings.batch]
        images = [lesson.load(lesson.files[place]) for place in places]
        mirrored = generator.random(len(images)) < 0.5
        flipped = [
            image[..., ::-1] if mirror else image
            for image, mirror in zip(images, mirrored, strict=True)
        ]
        yield torch.from_numpy(np.stack(flipped))


def _logits(scores: torch.Tensor) -> torch.Tensor:
    return torch.logit(scores, eps=_LOWEST_SCORE)


def _corners(answers: torch.Tensor) -> torch.Tensor:
    """Return float [N, A, 4], x1, y1, x2, y2 in pixels."""
    centres, sizes = answers[:, :2], answers[:, 2:4]
    return torch.cat((centres - sizes / 2, centres + sizes / 2), dim=1).transpose(1, 2)
