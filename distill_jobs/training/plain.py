"""The finished checkpoint: a plain ultralytics detector and nothing of the machine it came from."""

import io
from pathlib import Path
from typing import Any

import torch
from ultralytics.utils.torch_utils import strip_optimizer

from distill_jobs.errors import TrainingFailed
from distill_jobs.files import write_atomically

_KEPT = ("model", "epoch", "train_args", "train_metrics", "version", "license", "docs")
_LOCAL_ARGUMENTS = frozenset(
    {"data", "model", "name", "project", "resume", "save_dir", "pretrained", "device", "cfg"}
)


def write_plain_checkpoint(trained: Path, target: Path) -> None:
    """Write what a training left as a checkpoint that anyone's ultralytics loads.

    Of a distilled student only the student is kept; weights are the EMA's, in FP16. Optimizer,
    dates, paths, git state and teacher are left out, so that equal trainings give equal files.

    Args:
        trained: `best.pt` or `last.pt` of a training; left as it is.
        target: Replaced whole.

    Raises:
        TrainingFailed: `trained` is damaged.
    """
    stripped = trained.with_name("stripped.pt")
    checkpoint: dict[str, Any] = strip_optimizer(trained, str(stripped))
    if not checkpoint:  # ultralytics skips it, and writes nothing
        raise TrainingFailed(
            f"{trained} is damaged. Remove the folder {trained.parents[1]} to train anew"
        )
    stripped.unlink()
    model = checkpoint["model"]
    model.args = _portable(model.args)
    model.pt_path = None
    kept = {name: checkpoint[name] for name in _KEPT if name in checkpoint}
    kept["train_args"] = _portable(kept["train_args"])
    # Ultralytics' own loaders look these up in what they call a stripped checkpoint.
    kept.update(ema=None, optimizer=None)
    buffer = io.BytesIO()
    torch.save(kept, buffer)
    write_atomically(target, buffer.getvalue())


def _portable(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name not in _LOCAL_ARGUMENTS}
