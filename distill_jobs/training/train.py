"""One training from first weights to a plain checkpoint."""

import contextlib
import csv
import io
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ultralytics.nn.tasks import torch_safe_load

from distill_jobs.checkpoints import load_detector
from distill_jobs.data.dataset import Dataset
from distill_jobs.errors import JobError, TrainingFailed
from distill_jobs.files import write_atomically
from distill_jobs.progress import Reporter
from distill_jobs.recipe.distillation import Distillation
from distill_jobs.recipe.networks import Student, Teacher
from distill_jobs.recipe.training import Training
from distill_jobs.training.console import logged_to
from distill_jobs.training.networks import find_origin
from distill_jobs.training.plain import write_plain_checkpoint
from distill_jobs.training.schedule import teacher_weight
from distill_jobs.training.trainer import Lesson, LessonTrainer


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
        teacher: Checkpoint of the frozen teacher, or None.
        distillation: Given with a teacher.
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


def train(request: TrainRequest, reporter: Reporter) -> None:
    """Train, or go on where a killed training left its last checkpoint.

    Leaves `request.output`, a plain ultralytics detection checkpoint in FP16 (the epoch with the
    best validation score), and `curves.csv` beside ultralytics' files.

    Raises:
        TrainingFailed: The losses left the finite numbers, or ultralytics gave up.
        JobError: Weights, architecture or heads do not fit.
    """
    with logged_to(request.log):
        last = request.folder / "weights" / "last.pt"
        epoch = _last_epoch(last)
        if epoch is None and request.folder.exists():
            shutil.rmtree(request.folder)  # killed before its first checkpoint: start over
        if epoch is None or epoch < request.training.epochs - 1:
            _run(request, reporter, resume=last if epoch is not None else None)
        _collect(request)


def _last_epoch(last: Path) -> int | None:
    """Return the 0-based epoch that a checkpoint was written after, None without one."""
    if not last.is_file():
        return None
    return int(torch_safe_load(str(last))[0]["epoch"])


def _run(request: TrainRequest, reporter: Reporter, *, resume: Path | None) -> None:
    teacher = load_detector(request.teacher) if request.teacher else None
    lesson = Lesson(
        title=request.title,
        data=request.data,
        origin=find_origin(request.network),
        teacher=teacher,
        distillation=request.distillation if teacher is not None else None,
        reporter=reporter,
    )
    try:
        with _expected_warnings():
            LessonTrainer(lesson, _overrides(request, resume)).train()
    except JobError:
        raise
    except (RuntimeError, ValueError, AssertionError, FileNotFoundError) as error:
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


def _overrides(request: TrainRequest, resume: Path | None) -> dict[str, Any]:
    training = request.training
    overrides: dict[str, Any] = {
        **training.model_dump(exclude={"close_mosaic", "device"}),
        "close_mosaic": training.mosaic_free_epochs,
        "device": _device(training.device),
        "patience": training.patience or training.epochs,
        "nbs": training.batch,  # the default of 64 would update once in several batches
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
        "amp": False,  # its check downloads a model
        "plots": False,  # they want fonts
        "verbose": False,
        "deterministic": True,
        "task": "detect",
        "mode": "train",
    }
    if resume is not None:
        overrides["resume"] = str(resume)
    return overrides


def _device(name: str) -> str:
    if name != "auto":
        return name
    return "0" if torch.cuda.is_available() else "cpu"


def _collect(request: TrainRequest) -> None:
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
        _write_curves(request, results)


def _write_curves(request: TrainRequest, results: Path) -> None:
    """Give each epoch one row (a killed one may have left two) and its teacher's weight."""
    rows = list(csv.DictReader(results.read_text(encoding="utf-8").splitlines()))
    by_epoch = {int(float(row["epoch"])): row for row in rows}
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0], "teacher_weight"], lineterminator="\n")
    writer.writeheader()
    for epoch, row in sorted(by_epoch.items()):
        alpha = 0.0
        if request.distillation is not None:
            schedule = request.distillation.schedule
            alpha = teacher_weight(epoch - 1, request.training.epochs, schedule)
        writer.writerow({**row, "teacher_weight": f"{alpha:.4g}"})
    write_atomically(request.folder / "curves.csv", text.getvalue().encode())
