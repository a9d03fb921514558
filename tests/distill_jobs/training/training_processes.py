"""Small trainings, in processes of their own that may be killed or come in pairs."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill_jobs.data import scenes
from distill_jobs.data.dataset import Dataset
from distill_jobs.data.staging import write_description
from distill_jobs.environment import PROJECT_ROOT, offline
from distill_jobs.recipe.networks import Student

# Reads its task from the command line: trains in each folder, in turn; `kill_at` is the batch,
# counted over all epochs, after which the process kills itself.
_TRAIN = """
import json, os, signal, sys
from pathlib import Path
from distill_jobs.environment import offline
offline()
from distill_jobs.data.dataset import Dataset
from distill_jobs.progress import Silent
from distill_jobs.recipe.distillation import Distillation
from distill_jobs.recipe.networks import Student
from distill_jobs.recipe.training import Training
from distill_jobs.training import ranks
from distill_jobs.training.train import TrainRequest, follow, train, with_followers

task = json.loads(sys.argv[1])

class Assassin(Silent):
    left = task["kill_at"]
    def advance(self, parts=1):
        # The parts of a resumed training's past come at once, and before any of its own.
        if self.left is not None and parts == 1:
            self.left -= 1
            if self.left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

def request(folder):
    teacher = task["teacher"]
    return TrainRequest(
        title="train", network=Student(architecture="yolov8n", width=0.125),
        training=Training(**task["training"]), data=Dataset.load(Path(task["data"])),
        image_size=64, seed=1, folder=Path(folder) / "training", log=Path(folder) / "run.log",
        output=Path(folder) / "student.pt", teacher=Path(teacher) if teacher else None,
        distillation=Distillation(
            losses={"cwd": 1},
            schedule={"warmup_epochs": 0, "ramp_epochs": 1, **task["schedule"]},
        ) if teacher else None,
    )

if not ranks.leads():
    follow()
else:
    with with_followers():
        for folder in task["folders"]:
            train(request(folder), Assassin())
"""


def draw_data(
    folder: Path, *, train: int, val: int = 4, side: int = 64, unlabelled: Sequence[int] = ()
) -> Path:
    """Draw square scenes; returns the data.yaml."""
    for split, count in (("train", train), ("val", val)):
        assert sum(1 for _ in scenes.write_split(folder, split, count, side, 0)) == count
    images = sorted((folder / "images" / "train").iterdir())
    strange = [images[index] for index in unlabelled]
    for image in strange:
        (folder / "labels" / "train" / f"{image.stem}.txt").unlink()
    splits = ("train", "val")
    return write_description(folder, scenes.CLASS_NAMES, splits, unlabelled=strange).path


def write_found(path: Path, data: Path) -> Path:
    """Write detections as of another detector: one object in each training image."""
    records = [
        {
            "image": sample.image.name,
            "boxes_xyxy_px": [[8, 8, 30 + 3 * index, 40]],
            "scores": [0.9],
            "classes": [scenes.CLASS_NAMES[0]],
        }
        for index, sample in enumerate(Dataset.load(data).split("train"))
    ]
    path.write_text("\n".join(json.dumps(record) for record in records))
    return path


def write_teacher(path: Path, *, seed: int = 5, name: str = "yolov8n", width: float = 0.25) -> Path:
    """Write a tiny detector of random weights that knows the scenes' classes."""
    offline()
    import torch
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    from distill_jobs.training.networks import find_origin

    torch.manual_seed(seed)
    # Wider than the students above, so that distilling features takes projectors.
    shape = find_origin(Student(architecture=name, width=width)).shape
    model: Any = DetectionModel(shape, nc=len(scenes.CLASS_NAMES), verbose=False)
    model.names = dict(enumerate(scenes.CLASS_NAMES))
    model.args = vars(get_cfg(overrides={"imgsz": 64}))
    torch.save({"model": model, "train_args": model.args}, path)
    return path


def train_in_a_process(
    folders: list[Path],
    data: Path,
    training: dict[str, Any],
    *,
    teacher: Path | None = None,
    schedule: dict[str, Any] | None = None,
    kill_at: int | None = None,
    processes: int = 1,
) -> subprocess.CompletedProcess[str]:
    """Train a tiny student in each folder, one after the other, in a new process (or several)."""
    task = {
        "folders": [str(folder) for folder in folders],
        "data": str(data),
        "training": training,
        "teacher": str(teacher) if teacher else None,
        "schedule": schedule or {},
        "kill_at": kill_at,
    }
    return run_script(_TRAIN, json.dumps(task), processes=processes)


def run_script(
    script: str, *arguments: str, processes: int = 1
) -> subprocess.CompletedProcess[str]:
    """Run Python code in a new process, or under `torchrun` in several."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-c", script, *arguments]
    if processes > 1:
        head = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [sys.executable, *head, "--no-python", *command]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=PROJECT_ROOT,
        env=environment,
    )
