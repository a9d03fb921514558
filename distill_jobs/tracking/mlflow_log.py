"""A training as MLflow shows it, where `MLFLOW_TRACKING_URI` is set and nowhere else."""

import importlib.util
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from distill_jobs.errors import JobError
from distill_jobs.files import write_atomically
from distill_jobs.tracking.tensorboard_log import scalars_of
from distill_jobs.training.listening import EpochSeen

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_VARIABLE = "MLFLOW_TRACKING_URI"
# MLflow's own limit of a parameter's value.
_LONGEST_VALUE = 500


def mlflow_uri() -> str | None:
    """Return where MLflow's server or store is, None where nobody asked for it.

    Raises:
        JobError: It is asked for and not installed.
    """
    uri = os.environ.get(_VARIABLE)
    if uri and importlib.util.find_spec("mlflow") is None:
        raise JobError(
            f"{_VARIABLE} is set and MLflow is not installed: install it "
            "(`pip install understudy[mlflow]`), or unset the variable"
        )
    return uri or None


class MlflowLog:
    """Writes a training as one MLflow run: an `EpochListener`.

    The MLflow run's id is kept in the run folder, so that a training which goes on after a kill
    goes on in it.

    Args:
        uri: Of the tracking server or store.
        experiment: MLflow's experiment, made where it is missing: the job's name.
        run_name: What MLflow calls the run.
        parameters: Of the job, by dotted key.
        state: File for the MLflow run's id.
    """

    def __init__(
        self, uri: str, experiment: str, run_name: str, parameters: dict[str, Any], state: Path
    ) -> None:
        self._uri = uri
        self._experiment = experiment
        self._run_name = run_name
        self._parameters = parameters
        self._state = state
        self._client: MlflowClient | None = None
        self._run_id = ""

    def epoch_ended(self, seen: EpochSeen) -> None:
        """Log an epoch's values; the step is the epoch, counted from 1.

        Raises:
            JobError: The server or store does not answer, in MLflow's words.
        """
        try:
            self._log(seen)
        except Exception as error:  # noqa: BLE001  # whatever it is, it may repeat the password
            raise JobError(_without_user(str(error), self._uri)) from None

    def _log(self, seen: EpochSeen) -> None:
        from mlflow.entities import Metric  # noqa: PLC0415  # optional, and heavy

        client = self._client or self._open()
        now_ms = int(time.time() * 1000)
        metrics = [
            Metric(name, value, now_ms, seen.epoch + 1) for name, value in scalars_of(seen).items()
        ]
        client.log_batch(self._run_id, metrics=metrics)
        if seen.last:
            client.set_terminated(self._run_id)

    def _open(self) -> "MlflowClient":
        # A job talks to nobody but the server it was told of, and waits for that one briefly.
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        from mlflow.tracking import MlflowClient  # noqa: PLC0415  # optional, and heavy

        client = MlflowClient(self._uri)
        if self._state.exists():
            self._run_id = self._state.read_text(encoding="utf-8").strip()
            client.update_run(self._run_id, status="RUNNING")
        else:
            self._run_id = self._begin(client)
            write_atomically(self._state, f"{self._run_id}\n".encode())
        self._client = client
        return client

    def _begin(self, client: "MlflowClient") -> str:
        from mlflow.entities import Param  # noqa: PLC0415  # optional, and heavy

        known = client.get_experiment_by_name(self._experiment)
        experiment = known.experiment_id if known else client.create_experiment(self._experiment)
        run_id = str(client.create_run(experiment, run_name=self._run_name).info.run_id)
        parameters = [
            Param(key, str(value)[:_LONGEST_VALUE]) for key, value in self._parameters.items()
        ]
        client.log_batch(run_id, params=parameters)
        return run_id


def _without_user(text: str, uri: str) -> str:
    """Leave the user and password of an address out of a message that repeats it."""
    user = urlsplit(uri).netloc.rpartition("@")[0]
    return text.replace(f"{user}@", "") if user else text
