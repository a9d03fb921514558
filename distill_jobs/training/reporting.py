"""How a training moves its progress bar."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distill_jobs.training.trainer import LessonTrainer


def report_progress(trainer: "LessonTrainer") -> None:
    """Let a trainer tell its lesson's reporter of every batch, and of an epoch now and then."""
    trainer.add_callback("on_train_start", _announce)
    trainer.add_callback("on_train_batch_end", _advance)
    trainer.add_callback("on_fit_epoch_end", _note_epoch)


def _announce(trainer: "LessonTrainer") -> None:
    batches, position = len(trainer.train_loader), trainer.position
    trainer.lesson.reporter.stage(trainer.lesson.title, trainer.epochs * batches)
    trainer.lesson.reporter.advance(position.epoch * batches + position.batch)


def _advance(trainer: "LessonTrainer") -> None:
    trainer.lesson.reporter.advance()


def _note_epoch(trainer: "LessonTrainer") -> None:
    metrics: dict[str, float] = trainer.metrics or {}
    map50 = metrics.get("metrics/mAP50(B)")
    if map50 is not None and (trainer.epoch + 1 == trainer.epochs or trainer.epoch % 5 == 4):
        text = f"epoch {trainer.epoch + 1}/{trainer.epochs}: validation mAP50 {map50:.3f}"
        trainer.lesson.reporter.note(text)
