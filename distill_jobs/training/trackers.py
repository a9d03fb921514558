"""Ultralytics' own experiment trackers and telemetry, turned off for a while."""

import contextlib
from collections.abc import Iterator

TRACKERS = (
    "sync",
    "clearml",
    "comet",
    "dvc",
    "mlflow",
    "raytune",
    "tensorboard",
    "wandb",
)


@contextlib.contextmanager
def no_trackers() -> Iterator[None]:
    """Keep ultralytics from reporting anywhere while the block runs.

    By its default settings it logs to MLflow wherever that is installed, and sends usage data. Only
    this process's copy of the settings is changed: the user's file stays as it is.
    """
    from ultralytics.utils import SETTINGS  # noqa: PLC0415  # heavy, and after offline()

    before = dict(SETTINGS)
    # The settings' own way of setting writes the file.
    dict.update(SETTINGS, {name: False for name in TRACKERS if name in SETTINGS})
    try:
        yield
    finally:
        dict.update(SETTINGS, before)
