"""The finished checkpoint: a plain ultralytics detector and nothing of the machine it came from."""

import io
from pathlib import Path
from typing import Any

import torch
from ultralytics.nn.distill_model import DistillationModel
from ultralytics.nn.tasks import torch_safe_load
from ultralytics.utils import DEFAULT_CFG_DICT

from distill_jobs.errors import TrainingFailed
from distill_jobs.files import write_atomically

_KEPT = ("train_metrics", "version", "license", "docs")
_LOCAL_ARGUMENTS = frozenset(
    {"data", "model", "name", "project", "resume", "save_dir", "pretrained", "device", "cfg"}
)


def write_plain_checkpoint(trained: Path, target: Path) -> None:
    """Write what a training left as a checkpoint that anyone's ultralytics loads.

    Of a distilled student only the student is kept; weights are the EMA's, in FP16. Optimizer,
    dates, paths, git state and teacher are left out, so that equal trainings give equal files.
    Ultralytics' own `strip_optimizer` does much of this, but unpickles whatever the file names.

    Args:
        trained: `best.pt` or `last.pt` of a training; left as it is.
        target: Replaced whole.

    Raises:
        TrainingFailed: `trained` is damaged, or no checkpoint of a training.
    """
    content = _read(trained)
    network = content.get("ema") or content.get("model")
    if network is None:
        raise TrainingFailed(
            f"{trained} holds no network. Remove the folder {trained.parents[1]} to train anew"
        )
    arguments = {**DEFAULT_CFG_DICT, **content.get("train_args", {})}
    plain = {
        "model": _plain_model(network),
        "epoch": -1,
        "train_args": _portable({k: v for k, v in arguments.items() if k in DEFAULT_CFG_DICT}),
        **{name: content[name] for name in _KEPT if name in content},
        # Ultralytics' own loaders look these up in what they call a stripped checkpoint.
        "ema": None,
        "optimizer": None,
    }
    buffer = io.BytesIO()
    torch.save(plain, buffer)
    write_atomically(target, buffer.getvalue())


def _read(trained: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch_safe_load(str(trained), safe_only=True)[0]
    except Exception as error:  # ultralytics raises a different class for each kind of damage
        raise TrainingFailed(
            f"{trained} is damaged. Remove the folder {trained.parents[1]} to train anew"
        ) from error
    return content


def _plain_model(trained: Any) -> Any:
    """Strip a network, in place, of all that only its training needed."""
    model = trained
    if isinstance(trained, DistillationModel):  # ultralytics' own; ours is never saved
        trained._remove_feature_hooks()
        model = trained.student_model
    model.args = _portable(dict(model.args))
    model.pt_path = None
    if hasattr(model, "criterion"):
        model.criterion = None
    for parameter in model.half().parameters():
        parameter.requires_grad = False
    return model


def _portable(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name not in _LOCAL_ARGUMENTS}
