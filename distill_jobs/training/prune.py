"""A narrower student cut out of trained weights, as wide as its target allows."""

import copy
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from ultralytics.nn.tasks import DetectionModel

from distill_jobs.checkpoints import class_names, parameter_count
from distill_jobs.errors import JobError
from distill_jobs.recipe.compression import Prune
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.export import INPUT_NAME, OUTPUT_NAME, export_onnx, no_torchscript_noise
from distill_jobs.release.runtimes import latency_ratio
from distill_jobs.training.narrow import narrow_into
from handlers.onnx_runtime import OnnxRuntime
from handlers.runtimes import Runtime

# Shares of the channels that a search chooses from: a finer one meets the same multiples of 8.
_SHARES = tuple(step / 32 for step in range(6, 33))
# Where an architecture sets no limit, this is its widest layer before its width applies.
_WIDEST = 1024


@dataclass(frozen=True)
class Pruned:
    """A network that was cut.

    Attributes:
        model: Its layers hold the most important channels of the unpruned one's.
        keep: Share of the channels that was asked for.
        parameters: How many it has.
        latency_ratio: Its time over the unpruned one's, where the target was a latency.
    """

    model: nn.Module
    keep: float
    parameters: int
    latency_ratio: float | None = None


def prune(model: nn.Module, wanted: Prune, *, names: tuple[str, ...], image_size: int) -> Pruned:
    """Cut a detector to a target.

    Args:
        model: Trained ultralytics detector; left as it is.
        wanted: The target.
        names: Of the classes that the pruned head scores.
        image_size: Side of the square input at which latency is measured, pixels.

    Returns:
        The widest network that reaches the target.

    Raises:
        JobError: None does, or the model has no scale to change.
        UnsupportedModel: A layer is of a kind whose channels cannot be chosen.
    """
    if wanted.keep is not None:
        return _cut(model, wanted.keep, names)
    if wanted.max_parameters is not None:
        return _by_parameters(model, wanted.max_parameters, names)
    with tempfile.TemporaryDirectory() as folder:
        clock = _Clock(model, len(names), image_size, Path(folder))
        return _by_latency(model, wanted.latency_ratio or 1.0, names, clock)


def pruned(
    model: nn.Module,
    *,
    width: float | None = None,
    depth: float | None = None,
    max_channels: int | None = None,
    names: tuple[str, ...] | None = None,
) -> nn.Module:
    """Return a detector of the same architecture at another scale, its weights copied from a model.

    Args:
        model: Trained ultralytics detector; left as it is.
        width: Multiplies channels, instead of the model's own (0.25 for yolov8n).
        depth: Multiplies how often blocks repeat, likewise; the first blocks stay.
        max_channels: Upper limit of channels before `width` applies, likewise.
        names: Of the classes that the new head scores; the model's own when None. What it knows of
            a class is found by its name, as ultralytics does; the others' answers are untrained.

    Returns:
        An `ultralytics.nn.tasks.DetectionModel`, float32, in training mode.

    Raises:
        JobError: The model was not built from a description with a scale.
        UnsupportedModel: A layer is of a kind whose channels cannot be chosen.
    """
    source: Any = model
    shape, own = _shape_and_scale(source)
    given = (depth, width, max_channels)
    chosen = [own[place] if value is None else value for place, value in enumerate(given)]
    # The name of the scale stays: ultralytics builds other blocks for "m", "l" and "x".
    shape["scales"] = {shape["scale"]: chosen}
    names = names or class_names(source)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # what has nothing to be copied from is the same in every run
        small = DetectionModel({**shape, "nc": len(names)}, verbose=False)
        narrow_into(_renamed(source, small, names), small)
    small.names = dict(enumerate(names))
    return small


def _renamed(model: Any, small: Any, names: tuple[str, ...]) -> Any:
    """Return a model, or a copy that answers for other classes where it knows some of them."""
    places = {name.strip().lower(): place for place, name in enumerate(class_names(model))}
    rows = [places.get(name.strip().lower()) for name in names]
    if rows == list(range(len(places))) or not any(row is not None for row in rows):
        return model
    renamed = copy.deepcopy(model)
    for branch in ("cv3", "one2one_cv3"):
        if getattr(renamed.model[-1], branch, None) is not None:
            levels = (getattr(one.model[-1], branch) for one in (renamed, small))
            for level, untrained in zip(*levels, strict=True):
                level[-1] = _chosen_rows(level[-1], rows, untrained[-1])
    return renamed


def _chosen_rows(answer: Any, rows: list[int | None], untrained: Any) -> nn.Conv2d:
    """Return a class convolution with these rows; those that are None begin as in `untrained`."""
    chosen: Any = nn.Conv2d(answer.in_channels, len(rows), 1)
    with torch.no_grad():
        chosen.bias.copy_(untrained.bias)
        for place, row in enumerate(rows):
            if row is not None:
                chosen.weight[place], chosen.bias[place] = answer.weight[row], answer.bias[row]
    return cast("nn.Conv2d", chosen)


def save_as_weights(model: nn.Module, path: Path) -> None:
    """Write a network as a checkpoint that `load_detector` and ultralytics read."""
    torch.save({"model": model, "train_args": {"task": "detect"}}, path)


def _shape_and_scale(model: Any) -> tuple[dict[str, Any], list[Any]]:
    shape: dict[str, Any] = copy.deepcopy(dict(model.yaml))
    scales = shape.get("scales")
    if scales:
        shape["scale"] = shape.get("scale") or next(iter(scales))
        return shape, list(scales[shape["scale"]])
    if "width_multiple" in shape:
        shape["scale"] = "own"
        return shape, [shape.get("depth_multiple", 1.0), shape["width_multiple"], float("inf")]
    raise JobError(
        "student.prune: these weights were built from a description without a scale, so their "
        "width cannot be changed: take YOLOv5u, YOLOv8, YOLO11 or YOLO26"
    )


def _cut(model: nn.Module, keep: float, names: tuple[str, ...], *, deep: bool = False) -> Pruned:
    """Cut all layers to a share, and with `deep` the widest ones to its third power."""
    _, width, most = _shape_and_scale(model)[1]
    limit = int(min(most, _WIDEST) * keep**2) if deep else None
    small = pruned(model, width=width * keep, max_channels=limit, names=names)
    return Pruned(small, keep, parameter_count(small))


def _by_parameters(model: nn.Module, limit: int, names: tuple[str, ...]) -> Pruned:
    """Cut the deepest layers most: they hold most of the parameters and little of the time.

    On BCCD, yolov8n cut to 1.6M parameters: 54.1 mAP50-95 on validation after three epochs, cut
    evenly 48.4 (one seed, batch norms measured anew in both).
    """
    fitting = None
    low, high = 0, len(_SHARES)
    while low < high:
        middle = (low + high) // 2
        tried = _cut(model, _SHARES[middle], names, deep=True)
        if tried.parameters <= limit:
            fitting, low = tried, middle + 1
        else:
            high = middle
    if fitting is None:
        least = _cut(model, _SHARES[0], names, deep=True).parameters
        raise JobError(
            f"student.prune.max_parameters: {limit} cannot be reached from these weights: with "
            f"{_SHARES[0]:.0%} of the channels there are {least}. Take smaller weights or a higher "
            "limit"
        )
    return fitting


def _by_latency(model: nn.Module, target: float, names: tuple[str, ...], clock: "_Clock") -> Pruned:
    fitting, fastest = None, 1.0
    low, high = 0, len(_SHARES)
    while low < high:
        middle = (low + high) // 2
        tried = _cut(model, _SHARES[middle], names)
        ratio = clock.ratio(tried.model)
        fastest = min(fastest, ratio)
        if ratio <= target:
            fitting, low = Pruned(tried.model, tried.keep, tried.parameters, ratio), middle + 1
        else:
            high = middle
    if fitting is None:
        raise JobError(
            f"student.prune.latency_ratio: {target:g} cannot be reached by pruning these weights: "
            f"the fastest took {fastest:.2f} of the unpruned network's time. Take smaller weights, "
            "a smaller image_size, or a higher ratio"
        )
    return fitting


def _trained_uncut(model: Any, classes: int) -> nn.Module:
    """Return what ultralytics would train of a model: a wider class branch than for `classes`."""
    with torch.random.fork_rng(devices=[]):
        uncut = DetectionModel({**copy.deepcopy(model.yaml), "nc": classes}, verbose=False)
    uncut.load(model, verbose=False)
    return uncut


class _Clock:
    """Times networks against the unpruned one in ONNX Runtime, one thread each."""

    def __init__(self, model: nn.Module, classes: int, image_size: int, folder: Path) -> None:
        self._image_size, self._folder = image_size, folder
        self._reference = self._load(_trained_uncut(model, classes))
        generator = np.random.default_rng(0)
        self._image = generator.random((1, 3, image_size, image_size), np.float32)

    def ratio(self, model: nn.Module) -> float:
        return latency_ratio(self._load(model), self._reference, self._image)

    def _load(self, model: nn.Module) -> Runtime:
        file = self._folder / "timed.onnx"
        with no_torchscript_noise():
            export_onnx(DenseDetector(model, self._image_size), file)
        return OnnxRuntime(file, tensor_name=INPUT_NAME, output_name=OUTPUT_NAME, threads=1)
