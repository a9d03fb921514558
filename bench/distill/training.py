"""One training, by ultralytics alone or by a job of ours: same data, arguments and checkpoint."""

import csv
import shutil
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ultralytics.data import build_yolo_dataset
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.torch_utils import unwrap_model

from bench.distill.arms import IMAGE_SIDE_PX
from bench.distill.cells import Figures, Inputs
from bench.distill.clock import Clock, cost
from bench.distill.folds import Fold, stage
from distill_jobs.checkpoints import load_detector, parameter_count
from distill_jobs.data.dataset import Dataset
from distill_jobs.recipe.distillation import Distillation
from distill_jobs.recipe.networks import Student
from distill_jobs.recipe.training import Training
from distill_jobs.release.suppression import NMS_IOU
from distill_jobs.training.amp import choose_precision
from distill_jobs.training.plain import write_plain_checkpoint
from distill_jobs.training.settling import Settling, settle_if_better
from distill_jobs.training.train import TrainRequest, train
from distill_jobs.training.validator import ReleasesValidator

# What distill_jobs sets in every training, for ultralytics alone.
_QUIET: dict[str, Any] = {
    "cache": "ram",
    "workers": 0,
    "amp": False,  # its check downloads a model: `_Alone` chooses as distill_jobs does
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
        inputs: `engine` ("ultralytics" or "understudy"), `seed`, `device` ("cpu" or "cuda", in
            float16 where a job would), `arguments`, and of ours `distillation` (a job file's
            section, or None).
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
    settling = _by_ultralytics(task) if inputs["engine"] == "ultralytics" else _by_us(task)
    return _figures(here, settling)


class _Alone(DetectionTrainer):
    """Ultralytics' trainer as it is, told of its data set without a look for fonts online."""

    # Ultralytics annotates what they are before they are built.
    model: Any
    args: Any

    def __init__(self, data: Dataset, overrides: dict[str, Any]) -> None:
        self._data_set = data
        super().__init__(overrides=overrides)

    def get_dataset(self) -> dict[str, Any]:
        """Describe the data set."""
        root, names = self._data_set.path.parent, dict(enumerate(self._data_set.class_names))
        splits = {split: str(root / "images" / split) for split in ("train", "val")}
        described = {"path": root, "yaml_file": str(self._data_set.path), "names": names}
        return {**splits, **described, "nc": len(names), "channels": 3}

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """Read the pictures; those that choose the epoch are square, as those that measure."""
        network: Any = unwrap_model(self.model)
        stride, batch = max(int(network.stride.max()), 32), batch or int(self.args.batch)
        return build_yolo_dataset(
            self.args, img_path, batch, self.data, mode=mode, rect=False, stride=stride
        )

    def _setup_train(self) -> None:
        super()._setup_train()  # type: ignore[no-untyped-call]  # ultralytics annotates it not
        model = unwrap_model(self.model)
        student = getattr(model, "student_model", model)
        precision = choose_precision("auto", student, self.device, int(self.args.imgsz))
        self.amp = precision.scaled
        self.scaler = torch.amp.GradScaler("cuda", enabled=precision.scaled)

    def get_validator(self) -> ReleasesValidator:
        """Score an epoch as our engine does."""
        return ReleasesValidator(
            self.test_loader,
            save_dir=self.save_dir,
            args=copy(self.args),
            _callbacks=self.callbacks,
        )

    def final_eval(self) -> None:
        """Leave the checkpoints as they are: all arms are measured by one implementation."""


def _by_ultralytics(task: _Task) -> Settling:
    given = dict(task.inputs["arguments"])
    overrides = {
        **given,
        **_QUIET,
        "device": _device(task.inputs),
        "patience": given["patience"] or given["epochs"],
        "nbs": given["batch"],
        "iou": NMS_IOU,
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
    trainer.add_callback("on_train_batch_end", lambda _: task.clock.step())
    trainer.add_callback("on_fit_epoch_end", lambda _: task.clock.tick())
    trainer.train()  # type: ignore[no-untyped-call]  # ultralytics annotates it not
    write_plain_checkpoint(trainer.best, task.here / "model.pt")
    # As every job of ours ends: arms are to differ in their teachers alone.
    return settle_if_better(task.here / "model.pt", task.data, overrides)


def _by_us(task: _Task) -> Settling:
    section = task.inputs["distillation"]
    request = TrainRequest(
        title=task.here.name,
        network=Student(weights=task.weights),
        training=Training(**task.inputs["arguments"], device=_device(task.inputs)),
        data=task.data,
        image_size=IMAGE_SIDE_PX,
        seed=task.inputs["seed"],
        folder=task.here / "training",
        log=task.here / "ultralytics.txt",
        output=task.here / "model.pt",
        teacher=task.teacher,
        distillation=None if section is None else Distillation.model_validate(section),
    )
    found = train(request, task.clock)
    if found is None:
        raise ValueError("an arm froze its batch norms: it cannot be ended as the others are")
    return found


def _device(inputs: Inputs) -> str:
    """Return the name that ultralytics and a job file have for it."""
    return "0" if inputs["device"] == "cuda" else "cpu"


def _figures(here: Path, settling: Settling) -> Figures:
    lines = (here / "training" / "results.csv").read_text(encoding="utf-8").splitlines()
    # A killed process may have left an epoch twice.
    rows = list({float(row["epoch"]): row for row in csv.DictReader(lines)}.values())
    scores = [float(row["metrics/mAP50-95(B)"]) for row in rows]
    best = max(range(len(scores)), key=lambda place: scores[place])
    taken = cost(here / "clock.jsonl")
    _tidy(here)
    return {
        "inner_map50_95": max(settling.as_trained, settling.settled),
        "settling": settling.figures(),
        "best_epoch": best + 1,
        "epochs_run": len(rows),
        "cpu_s_per_epoch": round(taken["cpu_s"], 2),
        "cpu_s": round(taken["cpu_s"] * len(rows), 1),
        "wall_s_per_epoch": round(taken["wall_s"], 2),
        "wall_s": round(taken["wall_s"] * len(rows), 1),
        "step_ms": round(1e3 * taken["step_s"], 2),
        "curve_map50_95": [round(score, 4) for score in scores],
        "parameters": parameter_count(load_detector(here / "model.pt")),
        "threads": torch.get_num_threads(),
        **_on_gpu(),
    }


def _on_gpu() -> Figures:
    """Return which GPU trained and the most memory that this process's tensors took there."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch's, likewise
        return {}
    peak_bytes = torch.cuda.max_memory_allocated()
    return {"gpu": torch.cuda.get_device_name(), "gpu_peak_mib": round(peak_bytes / 2**20, 1)}


def _tidy(here: Path) -> None:
    """Keep the model and the curves; what a training resumes from weighs tens of megabytes."""
    for path in (here / "training").iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.suffix != ".csv":
            path.unlink()
    shutil.rmtree(here / "data")
