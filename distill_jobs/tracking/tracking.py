"""Everything that watches one training of a run; none of it may end the training."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from distill_jobs.job import Job
from distill_jobs.progress import Reporter
from distill_jobs.run_folder import RunFolder
from distill_jobs.tracking.mlflow_log import MlflowLog, mlflow_uri
from distill_jobs.tracking.pictures import PictureFolder
from distill_jobs.tracking.pushed import PushedEpochs
from distill_jobs.tracking.pushgateway import Pushgateway, pushgateway_address
from distill_jobs.tracking.tensorboard_log import TensorBoardLog
from distill_jobs.training.listening import EpochListener, EpochSeen

_LONGEST_REASON = 160


class Tracking:
    """Tells several listeners of each epoch: an `EpochListener`.

    The fixed frames are looked at once for all of them. A listener that fails (a full disk, a
    server that is away) is named, told no more, and costs the training nothing.

    Args:
        listeners: By the name that a note gives them.
        reporter: Told of a listener that failed.
    """

    def __init__(self, listeners: Mapping[str, EpochListener], reporter: Reporter) -> None:
        self._listeners = dict(listeners)
        self._reporter = reporter

    def epoch_ended(self, seen: EpochSeen) -> None:
        """Tell every listener that has not failed."""
        once = replace(seen, fixed_frames=functools.cache(seen.fixed_frames))
        for name, listener in list(self._listeners.items()):
            try:
                listener.epoch_ended(once)
            except Exception as error:  # noqa: BLE001  # whatever it is, the training goes on
                del self._listeners[name]
                reason = str(error).partition("\n")[0][:_LONGEST_REASON] or type(error).__name__
                self._reporter.note(f"{name} is not written any more: {reason}")


def track(
    folder: RunFolder, job: Job, role: str, class_names: Sequence[str], reporter: Reporter
) -> Tracking:
    """Return what watches a training of a run.

    Args:
        folder: Gets `training/ROLE/tensorboard` and `training/ROLE/pictures`.
        job: The run's.
        role: "teacher" or "student".
        class_names: Index = class id.
        reporter: Told of a listener that failed.

    Raises:
        JobError: `MLFLOW_TRACKING_URI` is set and MLflow is not installed, or
            `UNDERSTUDY_PUSHGATEWAY` is no address.
    """
    training, names = folder.training(role), tuple(class_names)
    listeners: dict[str, EpochListener] = {
        "TensorBoard": TensorBoardLog(training / "tensorboard", names),
        "the pictures": PictureFolder(training / "pictures", names),
    }
    uri = mlflow_uri()
    if uri is not None:
        listeners["MLflow"] = MlflowLog(
            uri,
            experiment=job.name,
            run_name=f"{folder.path.name} {role}",
            parameters=flat(job.model_dump(mode="json", by_alias=True, exclude_none=True)),
            state=training / "mlflow-run-id",
        )
    address = pushgateway_address()
    if address is not None:
        gateway = Pushgateway(address, job.name, reporter)
        listeners["the Pushgateway"] = PushedEpochs(gateway, role)
    return Tracking(listeners, reporter)


def flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values by dotted key: {"training.epochs": 20, ...}."""
    found: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, Mapping):
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found
