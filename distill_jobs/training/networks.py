"""Where a network's first weights and shape come from."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from ultralytics.nn.tasks import yaml_model_load
from ultralytics.utils import ROOT

from distill_jobs.checkpoints import load_detector
from distill_jobs.errors import JobError
from distill_jobs.recipe.networks import Student, Teacher


@dataclass(frozen=True)
class Origin:
    """What a trainer builds its network from.

    Attributes:
        shape: ultralytics' model yaml, as a dict.
        weights: A detector whose fitting tensors are taken over, or None.
    """

    shape: dict[str, Any]
    weights: nn.Module | None


def find_origin(network: Teacher | Student) -> Origin:
    """Load the weights, or look the architecture up in the installed ultralytics package.

    Raises:
        JobError: ultralytics has no such architecture.
        CheckpointRefused: The weights cannot be used.
    """
    if network.weights is not None:
        model: Any = load_detector(network.weights)
        return Origin(copy.deepcopy(dict(model.yaml)), model)
    return Origin(_shape(network), None)


def _shape(network: Teacher | Student) -> dict[str, Any]:
    name = network.architecture or ""
    try:
        shape = dict(yaml_model_load(name))
    except FileNotFoundError as error:
        raise JobError(
            f"architecture: ultralytics has no {name!r}; it has for example yolov8n, yolov5s, "
            f"yolov5l, yolo11n (see {_relative(ROOT / 'cfg' / 'models')})"
        ) from error
    return _scaled(shape, network)


def _scaled(shape: dict[str, Any], network: Teacher | Student) -> dict[str, Any]:
    given = (network.depth, network.width, network.max_channels)
    if all(value is None for value in given):
        return shape
    scales = shape.get("scales")
    if not scales:
        raise JobError(
            f"architecture {network.architecture}: it has no scales, so depth, width and "
            "max_channels cannot be set"
        )
    # The name of the scale stays: ultralytics builds other blocks for "m", "l" and "x".
    scale = shape.get("scale") or next(iter(scales))
    chosen = [scales[scale][i] if value is None else value for i, value in enumerate(given)]
    return {**shape, "scales": {scale: chosen}, "scale": scale}


def _relative(path: Path) -> str:
    return "/".join(path.parts[-3:])
