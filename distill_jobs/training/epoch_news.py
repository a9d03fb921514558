"""Telling listeners of an epoch, so that it changes nothing of the training."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import nn
from ultralytics.utils.torch_utils import unwrap_model

from distill_jobs.training.distiller import Distiller
from distill_jobs.training.fixed_frames import look_at_fixed_frames
from distill_jobs.training.listening import EpochListener, EpochSeen
from distill_jobs.training.resume_random import random_states_kept

if TYPE_CHECKING:
    from distill_jobs.training.trainer import LessonTrainer

_NAMES = {
    "metrics/mAP50(B)": "map50",
    "metrics/mAP50-95(B)": "map50_95",
    "metrics/precision(B)": "precision",
    "metrics/recall(B)": "recall",
}


def tell(trainer: "LessonTrainer", listeners: Sequence[EpochListener]) -> None:
    """Tell every listener of the epoch that has just been validated."""
    seen = EpochSeen(
        title=trainer.lesson.title,
        epoch=trainer.epoch,
        epochs=trainer.epochs,
        step=(trainer.epoch + 1) * len(trainer.train_loader),
        losses={name: float(value) for name, value in (trainer.tloss or {}).items()},
        validation=_validation(trainer.metrics or {}),
        learning_rates=tuple(float(group["lr"]) for group in trainer.optimizer.param_groups),
        alpha=_alpha(unwrap_model(trainer.model)),
        seconds=trainer.seconds(),
        last=bool(trainer.stop),
        fixed_frames=lambda: look_at_fixed_frames(trainer),
    )
    for listener in listeners:
        with random_states_kept():
            listener.epoch_ended(seen)


def _alpha(model: nn.Module) -> float:
    return model.moment.alpha if isinstance(model, Distiller) else 0.0


def _validation(metrics: Mapping[str, float]) -> dict[str, float]:
    return {
        _NAMES.get(name, name): float(value)
        for name, value in metrics.items()
        if name in _NAMES or name.startswith("val/")
    }
