"""What ultralytics' trainer is told of a training."""

from typing import Any

import torch

from distill_jobs.errors import TrainingFailed
from distill_jobs.release.suppression import NMS_IOU
from distill_jobs.training import ranks
from distill_jobs.training.request import TrainRequest

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


def trainer_arguments(request: TrainRequest) -> dict[str, Any]:
    """Return ultralytics' own arguments of a training.

    Raises:
        TrainingFailed: Its batch or its device does not fit the number of processes.
    """
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
        "iou": NMS_IOU,  # validation's suppression: a release's, and not the default of 0.7
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
    if name.isdigit() and ranks.count() > 1:
        raise TrainingFailed(
            f"device: {name} would put all {ranks.count()} processes on one GPU: leave it out, and "
            "each takes its own"
        )
    if name != "auto":
        return name
    return str(ranks.local_rank()) if torch.cuda.is_available() else "cpu"
