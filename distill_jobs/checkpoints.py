"""Checkpoints: what may be loaded as a detector, and what they weigh."""

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_jobs.environment import offline
from distill_jobs.errors import CheckpointRefused, LegacyCheckpoint, WrongTask

if TYPE_CHECKING:
    from torch import nn

_TASK_NAMES = {
    "segment": "segmentation",
    "classify": "classification",
    "pose": "pose estimation",
    "obb": "rotated-box detection",
}

# Making one of its class fetches the teacher that it is told of, from the network too. As pickles
# write it.
_DISTILLATION = re.compile(rb"nn[.\n]distill_model")


def load_detector(path: Path) -> "nn.Module":
    """Load a detection checkpoint through ultralytics.

    Only classes that ultralytics and torch define are unpickled, and networks that are built from
    its description later are of known layers, so a checkpoint cannot run code of its own.

    Args:
        path: A `.pt` file on this machine; nothing is ever downloaded.

    Returns:
        The detector, float32, in eval mode, on the CPU.

    Raises:
        LegacyCheckpoint: It pickles classes of the old YOLOv5 repository.
        WrongTask: It is a segmentation, pose, classification or other checkpoint.
        CheckpointRefused: It is missing, damaged, or holds no ultralytics model.
    """
    path = Path(path)
    _check_file(path)
    _check_pickled_classes(path)
    model = _unpickle(path)
    _check_task(path, model)
    return model


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parameter_count(module: "nn.Module") -> int:
    """Return how many numbers a model holds in its parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def class_names(model: "nn.Module") -> tuple[str, ...]:
    """Return a detector's class names; index = class id."""
    names: Any = model.names
    ordered = [names[index] for index in range(len(names))] if isinstance(names, dict) else names
    return tuple(str(name) for name in ordered)


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise CheckpointRefused(
            path, "no such file. Weights are never downloaded: put the checkpoint there"
        )
    if path.suffix != ".pt":
        raise CheckpointRefused(
            path, f"a checkpoint's name ends in .pt, this one in {path.suffix!r}"
        )


def _check_pickled_classes(path: Path) -> None:
    """Read which classes the pickle names, without unpickling anything."""
    from torch._C import PyTorchFileReader  # noqa: PLC0415  # heavy
    from torch.serialization import get_unsafe_globals_in_checkpoint  # noqa: PLC0415

    try:
        names = get_unsafe_globals_in_checkpoint(str(path))
        pickled = PyTorchFileReader(str(path)).get_record("data.pkl")
    except Exception as error:  # torch raises whatever the damaged zip or pickle provokes
        raise CheckpointRefused(
            path, "not a readable torch checkpoint: it is truncated, damaged or of another format"
        ) from error
    if any(name.startswith("models.") for name in names):
        raise LegacyCheckpoint(
            path,
            "a legacy YOLOv5 checkpoint, which pickles classes of the old yolov5 repository and "
            "cannot be loaded. Use the `u` weights of ultralytics (yolov5nu.pt, yolov5su.pt...), "
            "or train the architecture anew: `architecture: yolov5n`",
        )
    # Not by `names`, which lack what ultralytics has taken for harmless in this process before.
    if _DISTILLATION.search(pickled):
        raise CheckpointRefused(
            path,
            "a checkpoint of an unfinished distillation by ultralytics, which may name a teacher "
            "to download: give what is left when it is finished, its `best.pt`",
        )


def _unpickle(path: Path) -> "nn.Module":
    offline()
    from torch import nn  # noqa: PLC0415  # heavy
    from ultralytics.nn import tasks  # noqa: PLC0415  # heavy, and after offline()
    from ultralytics.utils.checks import check_yolov5u_filename  # noqa: PLC0415

    # As `tasks.load_checkpoint` makes a path its own. What is not there it would download.
    taken = check_yolov5u_filename(str(path).strip().replace("'", ""), verbose=False)
    if Path(taken) != path:
        raise CheckpointRefused(
            path, f"ultralytics would take this path for {taken}: give it another name or place"
        )
    # As `offline` asks for, which ultralytics heeds no more once something has imported it.
    tasks.SAFE_LOAD = True  # type: ignore[attr-defined]  # it is there, and read where it is
    try:
        model = tasks.load_checkpoint(str(path))[0]
    except Exception as error:  # ultralytics raises a different class for each kind of damage
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointRefused(path, f"holds no model that ultralytics can load ({reason})") from (
            error
        )
    if not isinstance(model, nn.Module):
        raise CheckpointRefused(path, "holds no model")
    return model


def _check_task(path: Path, model: "nn.Module") -> None:
    from ultralytics.nn.tasks import DetectionModel, guess_model_task  # noqa: PLC0415  # heavy

    task = str(getattr(model, "task", "") or guess_model_task(model))
    if task != "detect":
        name = _TASK_NAMES.get(task, task)
        raise WrongTask(
            path, f"a {name} checkpoint; only detection is supported. Give a detector", task=task
        )
    if not isinstance(model, DetectionModel):
        raise CheckpointRefused(path, f"holds a {type(model).__name__}, not a detection model")
