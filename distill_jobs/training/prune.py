"""A narrower student cut out of trained weights, as wide as its target allows."""

import copy
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from ultralytics.nn.tasks import DetectionModel

from distill_jobs.checkpoints import parameter_count
from distill_jobs.errors import JobError
from distill_jobs.recipe.compression import Prune
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.export import INPUT_NAME, OUTPUT_NAME, export_onnx, no_torchscript_noise
from distill_jobs.release.runtimes import latency_ratio
from distill_jobs.training.narrow import narrow_into
from handlers.runtimes import OnnxRuntime, Runtime

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


def prune(model: nn.Module, wanted: Prune, *, classes: int, image_size: int) -> Pruned:
    """Cut a detector to a target.

    Args:
        model: Trained ultralytics detector; left as it is.
        wanted: The target.
        classes: How many the pruned head scores.
        image_size: Side of the square input at which latency is measured, pixels.

    Returns:
        The widest network that reaches the target.

    Raises:
        JobError: None does, or the model has no scale to change.
        UnsupportedModel: A layer is of a kind whose channels cannot be chosen.
    """
    if wanted.keep is not None:
        return _cut(model, wanted.keep, classes)
    if wanted.max_parameters is not None:
        return _by_parameters(model, wanted.max_parameters, classes)
    with tempfile.TemporaryDirectory() as folder:
        clock = _Clock(model, classes, image_size, Path(folder))
        return _by_latency(model, wanted.latency_ratio or 1.0, classes, clock)


def pruned(
    model: nn.Module,
    *,
    width: float | None = None,
    depth: float | None = None,
    max_channels: int | None = None,
    classes: int | None = None,
) -> nn.Module:
    """Return a detector of the same architecture at another scale, its weights copied from a model.

    Args:
        model: Trained ultralytics detector; left as it is.
        width: Multiplies channels, instead of the model's own (0.25 for yolov8n).
        depth: Multiplies how often blocks repeat, likewise; the first blocks stay.
        max_channels: Upper limit of channels before `width` applies, likewise.
        classes: How many the new head scores; the model's own when None. Where they differ, the
            last class convolutions are untrained.

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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # what has nothing to be copied from is the same in every run
        small = DetectionModel(shape, nc=classes or source.model[-1].nc, verbose=False)
    narrow_into(source, small)
    names: dict[int, str] = (
        dict(enumerate(source.names)) if isinstance(source.names, list) else (source.names)
    )
    if len(names) == classes or classes is None:
        small.names = names
    return small


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


def _cut(model: nn.Module, keep: float, classes: int, *, deep: bool = False) -> Pruned:
    """Cut all layers to a share, and with `deep` the widest ones to its third power."""
    _, width, most = _shape_and_scale(model)[1]
    limit = int(min(most, _WIDEST) * keep**2) if deep else None
    small = pruned(model, width=width * keep, max_channels=limit, classes=classes)
    return Pruned(small, keep, parameter_count(small))


def _by_parameters(model: nn.Module, limit: int, classes: int) -> Pruned:
    """Cut the deepest layers most: they hold most of the parameters and little of the time.

    On BCCD, yolov8n cut to 1.6M parameters: box loss after three epochs 1.32, cut evenly 1.49.
    """
    fitting = None
    low, high = 0, len(_SHARES)
    while low < high:
        middle = (low + high) // 2
        tried = _cut(model, _SHARES[middle], classes, deep=True)
        if tried.parameters <= limit:
            fitting, low = tried, middle + 1
        else:
            high = middle
    if fitting is None:
        least = _cut(model, _SHARES[0], classes, deep=True).parameters
        raise JobError(
            f"student.prune.max_parameters: {limit} cannot be reached from these weights: with "
            f"{_SHARES[0]:.0%} of the channels there are {least}. Take smaller weights or a higher "
            "limit"
        )
    return fitting


def _by_latency(model: nn.Module, target: float, classes: int, clock: "_Clock") -> Pruned:
    fitting, fastest = None, 1.0
    low, high = 0, len(_SHARES)
    while low < high:
        middle = (low + high) // 2
        tried = _cut(model, _SHARES[middle], classes)
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


class _Clock:
    """Times networks against the unpruned one in ONNX Runtime, one thread each."""

    def __init__(self, model: nn.Module, classes: int, image_size: int, folder: Path) -> None:
        self._image_size, self._folder = image_size, folder
        self._reference = self._load(pruned(model, classes=classes))
        generator = np.random.default_rng(0)
        self._image = generator.random((1, 3, image_size, image_size), np.float32)

    def ratio(self, model: nn.Module) -> float:
        return latency_ratio(self._load(model), self._reference, self._image)

    def _load(self, model: nn.Module) -> Runtime:
        file = self._folder / "timed.onnx"
        with no_torchscript_noise():
            export_onnx(DenseDetector(model, self._image_size), file)
        return OnnxRuntime(file, tensor_name=INPUT_NAME, output_name=OUTPUT_NAME, threads=1)
