"""One training, by ultralytics alone or by a job of ours: same data, arguments and checkpoint."""

import csv
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ultralytics.models.yolo.detect import DetectionTrainer

from bench.distill.arms import IMAGE_SIDE_PX
from bench.distill.cells import Figures, Inputs
from bench.distill.clock import Clock, cpu_s_per_epoch
from bench.distill.folds import Fold, stage
from distill_jobs.checkpoints import load_detector, parameter_count
from distill_jobs.data.dataset import Dataset
from distill_jobs.recipe.distillation import Distillation
from distill_jobs.recipe.networks import Student
from distill_jobs.recipe.training import Training
from distill_jobs.training.plain import write_plain_checkpoint
from distill_jobs.training.train import TrainRequest, train

# What distill_jobs sets in every training, for ultralytics alone.
_QUIET: dict[str, Any] = {
    "device": "cpu",
    "cache": "ram",
    "workers": 0,
    "amp": False,
    "plots": False,
    "verbose": False,
    "deterministic": True,
    "task": "detect",
    "mode": "train",
}


@dataclass(frozen=True)
class _Task:
    """What both engines are given."""

    inputs: Inputs
    data: Dataset
    weights: Path
    teacher: Path | None
    here: Path
    clock: Clock


def train_cell(
    inputs: Inputs, fold: Fold, *, weights: Path, teacher: Path | None, here: Path
) -> Figures:
    """Train one model.

    Args:
        inputs: `engine` ("ultralytics" or "understudy"), `seed`, `arguments`, and of ours
            `distillation` (a job file's section, or None).
        fold: Its train part is trained on, its inner part chooses the epoch.
        weights: To start from.
        teacher: Checkpoint, or None.
        here: The cell's folder; gets `model.pt`.

    Returns:
        The inner part's scores, the epochs and their cost.
    """
    shutil.rmtree(here / "data", ignore_errors=True)
    data = stage(fold, here / "data")
    clock = Clock(here / "clock.jsonl", int(inputs["arguments"]["epochs"]))
    task = _Task(inputs, data, weights, teacher, here, clock)
    if inputs["engine"] == "ultralytics":
        _by_ultralytics(task)
    else:
        _by_us(task)
    return _figures(here)


class _Alone(DetectionTrainer):
    """Ultralytics' trainer as it is, told of its data set without a look for fonts online."""

    def __init__(self, data: Dataset, overrides: dict[str, Any]) -> None:
        self._data_set = data
        super().__init__(overrides=overrides)

    def get_dataset(self) -> dict[str, Any]:
        """Describe the data set."""
        root, names = self._data_set.path.parent, dict(enumerate(self._data_set.class_names))
        splits = {split: str(root / "images" / split) for split in ("train", "val")}
        described = {"path": root, "yaml_file": str(self._data_set.path), "names": names}
        return {**splits, **described, "nc": len(names), "channels": 3}

    def final_eval(self) -> None:
        """Leave the checkpoints as they are: all arms are measured by one implementation."""


def _by_ultralytics(task: _Task) -> None:
    given = dict(task.inputs["arguments"])
    overrides = {
        **given,
        **_QUIET,
        "patience": given["patience"] or given["epochs"],
        "nbs": given["batch"],
        "model": str(task.weights),
        "data": str(task.data.path),
        "imgsz": IMAGE_SIDE_PX,
        "seed": task.inputs["seed"],
        "project": str(task.here),
        "name": "training",
        "save_dir": str(task.here / "training"),
        "exist_ok": True,
        "distill_model": str(task.teacher) if task.teacher else None,
    }
    trainer = _Alone(task.data, overrides)
    trainer.add_callback("on_fit_epoch_end", lambda _: task.clock.tick())
    trainer.train()  # type: ignore[no-untyped-call]  # ultralytics annotates it not
    write_plain_checkpoint(trainer.best, task.here / "model.pt")


def _by_us(task: _Task) -> None:
    section = task.inputs["distillation"]
    request = TrainRequest(
        title=task.here.name,
        network=Student(weights=task.weights),
        training=Training(**task.inputs["arguments"], device="cpu"),
        data=task.data,
        image_size=IMAGE_SIDE_PX,
        seed=task.inputs["seed"],
        folder=task.here / "training",
        log=task.here / "ultralytics.txt",
        output=task.here / "model.pt",
        teacher=task.teacher,
        distillation=None if section is None else Distillation.model_validate(section),
    )
    train(request, task.clock)


def _figures(here: Path) -> Figures:
    lines = (here / "training" / "results.csv").read_text(encoding="utf-8").splitlines()
    # A killed process may have left an epoch twice.
    rows = list({float(row["epoch"]): row for row in csv.DictReader(lines)}.values())
    scores = [float(row["metrics/mAP50-95(B)"]) for row in rows]
    best = max(range(len(scores)), key=lambda place: scores[place])
    per_epoch = cpu_s_per_epoch(here / "clock.jsonl")
    _tidy(here)
    return {
        "inner_map50_95": scores[best],
        "inner_map50": float(rows[best]["metrics/mAP50(B)"]),
        "best_epoch": best + 1,
        "epochs_run": len(rows),
        "cpu_s_per_epoch": round(per_epoch, 2),
        "cpu_s": round(per_epoch * len(rows), 1),
        "curve_map50_95": [round(score, 4) for score in scores],
        "parameters": parameter_count(load_detector(here / "model.pt")),
        "threads": torch.get_num_threads(),
    }


def _tidy(here: Path) -> None:
    """Keep the model and the curves; what a training resumes from weighs tens of megabytes."""
    for path in (here / "training").iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.suffix != ".csv":
            path.unlink()
    shutil.rmtree(here / "data")
