"""The lead's checkpoint in the data set's own classes.

The lead is measured and released beside the student, on one data set: a detector that knows other
classes too, or the same in another order, is cut to the data set's. Its class branch ends in a
1x1 convolution with one row of weights a class, so that this is a choice of rows and changes no
score.
"""

import io
import shutil
from pathlib import Path
from typing import Any

import torch
from ultralytics.nn.tasks import torch_safe_load

from distill_jobs.checkpoints import class_names, load_detector
from distill_jobs.errors import HeadsDiffer
from distill_jobs.files import write_atomically
from distill_jobs.recipe.networks import Teacher
from distill_jobs.training.teachers.classes import ClassMap

_KEPT = ("epoch", "train_args", "version", "license", "docs")


def take_lead(lead: Teacher, target: Path, names: tuple[str, ...]) -> None:
    """Copy the lead's checkpoint, its classes those of the data set, in their order.

    Args:
        lead: With `weights:`, whose head is dense.
        target: Gets the copy; the very file where the classes fit as they are.
        names: Of the data set; index = class id.

    Raises:
        HeadsDiffer: It does not know each of these classes exactly once.
        CheckpointRefused: It cannot be loaded.
    """
    weights = lead.weights or Path()
    model: Any = load_detector(weights)
    own = class_names(model)
    if own == names and not lead.classes:
        shutil.copyfile(weights, target)
        return
    try:
        class_map = ClassMap.between(own, names, lead.classes)
    except HeadsDiffer as error:
        raise HeadsDiffer(f"{weights.name}: {error.message}") from error
    rows = [_only_source(class_map, class_id, weights, names) for class_id in range(len(names))]
    choose_classes(model, rows, names)
    checkpoint = torch_safe_load(str(weights), safe_only=True)[0]
    kept = {name: checkpoint[name] for name in _KEPT if name in checkpoint}
    saved = checkpoint.get("ema") or checkpoint["model"]
    model.to(next(saved.parameters()).dtype)
    buffer = io.BytesIO()
    torch.save({**kept, "model": model, "ema": None, "optimizer": None}, buffer)
    write_atomically(target, buffer.getvalue())


def choose_classes(model: Any, rows: list[int], names: tuple[str, ...]) -> None:
    """Cut a detector with a dense head to some of its classes, in place.

    Args:
        model: The detector.
        rows: Its class ids, in the order that is wanted.
        names: What they are called from now on.
    """
    head = model.model[-1]
    for branch in ("cv3", "one2one_cv3"):
        for level in getattr(head, branch, None) or ():
            last = level[-1]
            last.weight = torch.nn.Parameter(last.weight.detach()[rows])
            last.bias = torch.nn.Parameter(last.bias.detach()[rows])
            last.out_channels = len(rows)
    head.nc, head.no = len(rows), len(rows) + 4 * head.reg_max
    model.nc, model.names = len(rows), dict(enumerate(names))
    model.yaml["nc"] = len(rows)


def _only_source(class_map: ClassMap, class_id: int, weights: Path, names: tuple[str, ...]) -> int:
    sources = [source for source, target in enumerate(class_map.targets) if target == class_id]
    if len(sources) == 1:
        return sources[0]
    what = "several of its classes become" if sources else "it does not know"
    raise HeadsDiffer(
        f"{weights.name}: the lead is measured on this data set, so it must know each of its "
        f"classes once, and {what} {names[class_id]!r}. Map it (`teacher: {{classes: ...}}`), "
        "fine-tune the teacher (`teacher: {weights: ..., train: {...}}`), or let another one lead "
        "and list it under `further_teachers:`"
    )
