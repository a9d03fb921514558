"""One training from first weights to a plain checkpoint."""

import contextlib
import shutil
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import torch
from ultralytics.utils import LOGGER

from distill_jobs.data.dataset import Dataset
from distill_jobs.errors import JobError, TrainingFailed
from distill_jobs.progress import Reporter, Silent
from distill_jobs.recipe.distillation import Distillation
from distill_jobs.recipe.networks import Student, Teacher
from distill_jobs.recipe.teachers import FurtherTeacher, Voice
from distill_jobs.recipe.training import Training
from distill_jobs.training import ranks
from distill_jobs.training.console import logged_to
from distill_jobs.training.curves import write_curves
from distill_jobs.training.lesson import Lesson
from distill_jobs.training.listening import EpochListener
from distill_jobs.training.networks import find_origin
from distill_jobs.training.plain import write_plain_checkpoint
from distill_jobs.training.resume_file import read_state
from distill_jobs.training.settling import Settling, settle_if_better
from distill_jobs.training.teachers.faculty import Staff
from distill_jobs.training.trackers import no_trackers
from distill_jobs.training.trainer import LessonTrainer

_FROM_WITHIN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    cv2.error,
)


@dataclass(frozen=True)
class TrainRequest:
    """One training.

    Attributes:
        title: Of the progress bar.
        network: What is trained.
        training: How.
        data: Staged data set.
        image_size: Side of the square input, pixels.
        seed: Of everything random.
        folder: For ultralytics' files: `weights/last.pt`, `results.csv`...
        log: What ultralytics says.
        output: The finished checkpoint.
        teacher: Checkpoint of the lead teacher, or None.
        distillation: Given with a teacher.
        voice: How far the lead is listened to.
        further: Teachers besides the lead.
        answers: Folder in which teachers' answers are kept; beside `folder` when None.
        listeners: Told of every epoch.
    """

    title: str
    network: Teacher | Student
    training: Training
    data: Dataset
    image_size: int
    seed: int
    folder: Path
    log: Path
    output: Path
    teacher: Path | None = None
    distillation: Distillation | None = None
    voice: Voice = field(default_factory=Voice)
    further: tuple[FurtherTeacher, ...] = ()
    answers: Path | None = None
    listeners: Sequence[EpochListener] = ()


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
    with logged_to(request.log), _failures_told(request):
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
    with logged_to(request.log if ranks.leads() else None), _failures_told(request):
        state = ranks.from_first(_last_state(request.folder) if ranks.leads() else None)
        if state is None or not state["finished"]:
            _run(request, reporter, state)


def _last_state(folder: Path) -> dict[str, Any] | None:
    """Return where a training was, None where it begins; a folder without that is of no use."""
    state = read_state(folder)
    if state is None and folder.exists():
        shutil.rmtree(folder)  # killed before its first epoch was kept: start over
    return state


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
    with _expected_warnings(), no_trackers():
        LessonTrainer(lesson, _overrides(request)).train()


@contextlib.contextmanager
def _failures_told(request: TrainRequest) -> Iterator[None]:
    """Turn what ultralytics, torch and the disk raise into errors of ours.

    Other classes pass: a listener that ends a training raises one of its own.
    """
    try:
        yield
    except JobError:
        raise
    except torch.OutOfMemoryError as error:
        raise TrainingFailed(
            f"{request.title} ran out of the GPU's memory at batch {request.training.batch}: halve "
            "`batch` and double `accumulate`"
        ) from error
    except _FROM_WITHIN as error:
        LOGGER.exception(f"{request.title} failed")
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingFailed(
            f"{request.title} failed: {reason}. The whole story is in {request.log}"
        ) from error


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


# What the trainer reads from the lesson, or under another name.
_OUR_KEYS = frozenset(
    {
        "accumulate",
        "amp",
        "checkpoint_batches",
        "close_mosaic",
        "device",
        "freeze_batch_norm",
        "workers",
    }
)


def _overrides(request: TrainRequest) -> dict[str, Any]:
    training = request.training
    if training.batch % ranks.count():
        raise TrainingFailed(
            f"batch {training.batch} cannot be shared out among {ranks.count()} processes: "
            f"give a multiple of {ranks.count()}"
        )
    return {
        **training.model_dump(exclude=set(_OUR_KEYS)),
        "close_mosaic": training.mosaic_free_epochs,
        "device": _device(training.device),
        "patience": training.patience or training.epochs,
        # The default of 64 would update once in several batches.
        "nbs": training.batch * training.accumulate,
        "model": "student.yaml",  # never opened: the lesson brings the network
        "data": str(request.data.path),
        "imgsz": request.image_size,
        "seed": request.seed,
        "project": str(request.folder.parent),
        "name": request.folder.name,
        "save_dir": str(request.folder),
        "exist_ok": True,
        "cache": "ram",
        "workers": 0,
        "amp": False,  # its check downloads a model: the trainer has its own
        "plots": False,  # they want fonts
        "verbose": False,
        "deterministic": True,
        "task": "detect",
        "mode": "train",
    }


def _device(name: str) -> str:
    if name != "auto":
        return name
    return str(ranks.local_rank()) if torch.cuda.is_available() else "cpu"


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
    results = request.folder / "results.csv"
    if results.exists():
        write_curves(results, request.training.epochs, request.distillation)
    return None if request.training.freeze_batch_norm else _settle(request, reporter)


def _settle(request: TrainRequest, reporter: Reporter) -> Settling:
    found = settle_if_better(
        request.output, request.data, _overrides(request), unlabelled=request.teacher is not None
    )
    kept = "the new ones are kept" if found.kept else "the training's own are kept"
    reporter.note(
        f"{request.title}: batch norms measured anew take mAP50-95 on the validation split from "
        f"{found.as_trained:.3f} to {found.settled:.3f}: {kept}"
    )
    return found
