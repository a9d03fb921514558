"""One training from first weights to a plain checkpoint."""

import contextlib
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from distill_jobs.errors import TrainingFailed
from distill_jobs.progress import Reporter, Silent
from distill_jobs.training import ranks
from distill_jobs.training.arguments import trainer_arguments
from distill_jobs.training.console import logged_to
from distill_jobs.training.curves import write_curves
from distill_jobs.training.failures import failures_told
from distill_jobs.training.lesson import Lesson
from distill_jobs.training.networks import find_origin
from distill_jobs.training.plain import write_plain_checkpoint
from distill_jobs.training.request import TrainRequest
from distill_jobs.training.resume_file import read_state
from distill_jobs.training.settling import Settling, settle_if_better
from distill_jobs.training.teachers.faculty import Staff
from distill_jobs.training.trainer import LessonTrainer

__all__ = ["TrainRequest", "follow", "train", "with_followers"]


def train(request: TrainRequest, reporter: Reporter) -> Settling | None:
    """Train, or go on exactly where a killed training was last kept.

    Leaves `request.output`, a plain ultralytics detection checkpoint in FP16 (the epoch with the
    best validation score, its batch norms measured anew where that is better still), and
    `curves.csv` beside ultralytics' files. Under `torchrun` the first process calls it, and the
    others `follow`.

    Returns:
        What batch norms measured anew did; None where they were frozen.

    Raises:
        LossNotFinite: A loss became NaN or infinite.
        TrainingFailed: Ultralytics gave up, or the resume file cannot be used.
        JobError: Weights, architecture or heads do not fit.
    """
    ranks.join()
    ranks.from_first(replace(request, listeners=()))
    _train_together(request, reporter)
    with logged_to(request.log), failures_told(request), _expected_warnings():
        return _collect(request, reporter)


def follow() -> None:
    """Take part in every training that the first process begins, until it dismisses."""
    ranks.join()
    while (request := ranks.from_first(None)) is not None:
        _train_together(request, Silent())
    ranks.leave()


@contextlib.contextmanager
def with_followers() -> Iterator[None]:
    """Dismiss the other processes when the block ends.

    When it fails they are left where they are: `torchrun` ends them with the first process.
    """
    ranks.join()
    yield
    ranks.from_first(None)
    ranks.leave()


def _train_together(request: TrainRequest, reporter: Reporter) -> None:
    with logged_to(request.log if ranks.leads() else None), failures_told(request):
        state = ranks.from_first(_last_state(request.folder) if ranks.leads() else None)
        if state is None or not state["finished"]:
            _run(request, reporter, state)


def _last_state(folder: Path) -> dict[str, Any] | None:
    """Return where a training was, None where it begins; a folder without that is of no use."""
    state = read_state(folder)
    if state is None and folder.exists():
        shutil.rmtree(folder)  # killed before its first epoch was kept: start over
    if state is not None and not state["finished"]:
        # The state holds it. Every process's trainer would remove what it finds, all but one late.
        _results(folder).unlink(missing_ok=True)
    return state


def _results(folder: Path) -> Path:
    return folder / "results.csv"


def _run(request: TrainRequest, reporter: Reporter, state: dict[str, Any] | None) -> None:
    training = request.training
    lesson = Lesson(
        title=request.title,
        data=request.data,
        origin=find_origin(request.network),
        staff=_staff(request),
        distillation=request.distillation,
        reporter=reporter,
        listeners=request.listeners,
        state=state,
        keep_every_batches=training.checkpoint_batches,
        precision=training.amp,
        freeze_norms=training.freeze_batch_norm,
        workers=training.workers,
    )
    with _expected_warnings():
        LessonTrainer(lesson, trainer_arguments(request)).train()


@contextlib.contextmanager
def _expected_warnings() -> Iterator[None]:
    """Silence what ultralytics' trainer provokes in torch and what no reader can act on."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"[\s\S]*deterministic", category=UserWarning)
        warnings.filterwarnings("ignore", message=".*GradScaler", category=Warning)
        warnings.filterwarnings("ignore", message=".*pin_memory", category=UserWarning)
        yield


def _staff(request: TrainRequest) -> Staff | None:
    if request.teacher is None:
        return None
    return Staff.led_by(
        request.teacher.absolute(),
        request.voice,
        request.further,
        # Not within: a training that starts over begins with an empty folder.
        answers=request.answers or request.folder.with_name("teacher-answers"),
    )


def _collect(request: TrainRequest, reporter: Reporter) -> Settling | None:
    """Write the finished checkpoint and the curves; nothing of it is kept for a resume."""
    weights = request.folder / "weights"
    best = weights / "best.pt" if (weights / "best.pt").exists() else weights / "last.pt"
    if not best.exists():
        raise TrainingFailed(
            f"{request.title} left no checkpoint: its losses were never finite. Lower `lr0`; the "
            f"whole story is in {request.log}"
        )
    write_plain_checkpoint(best, request.output)
    results = _results(request.folder)
    if results.exists():
        write_curves(results, request.training.epochs, request.distillation)
    return None if request.training.freeze_batch_norm else _settle(request, reporter)


def _settle(request: TrainRequest, reporter: Reporter) -> Settling:
    found = settle_if_better(
        request.output,
        request.data,
        trainer_arguments(request),
        unlabelled=request.teacher is not None,
    )
    kept = "the new ones are kept" if found.kept else "the training's own are kept"
    reporter.note(
        f"{request.title}: batch norms measured anew take mAP50-95 on the validation split from "
        f"{found.as_trained:.3f} to {found.settled:.3f}: {kept}"
    )
    return found
