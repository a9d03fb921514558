import socket

import pytest
from epochs import Noted, epoch

from distill_jobs.errors import JobError
from distill_jobs.tracking import mlflow_log
from distill_jobs.tracking.mlflow_log import MlflowLog, mlflow_uri
from distill_jobs.tracking.tracking import Tracking

PARAMETERS = {"training.epochs": 3, "data.path": "/x/" + "long" * 200}


@pytest.fixture
def uri(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
    # MLflow would rather have a database; a folder needs no server.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return f"file:{tmp_path}/mlruns"


def test_nobody_asked_for_it(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    assert mlflow_uri() is None


def test_asked_for_and_not_installed_is_refused_before_a_training(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://anna:s3cret@mlflow:5000")
    monkeypatch.setattr(mlflow_log.importlib.util, "find_spec", lambda _: None)

    with pytest.raises(JobError, match=r"pip install understudy\[mlflow\]") as refused:
        mlflow_uri()
    assert "s3cret" not in refused.value.message


def test_a_training_is_one_mlflow_run_even_when_it_was_killed(uri, tmp_path):
    from mlflow.tracking import MlflowClient

    state = tmp_path / "id"
    MlflowLog(uri, "bccd", "run student", PARAMETERS, state).epoch_ended(epoch(0))

    resumed = MlflowLog(uri, "bccd", "run student", PARAMETERS, state)
    for number in (1, 2):
        resumed.epoch_ended(epoch(number))

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("bccd")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["training.epochs"] == "3"
    assert len(run.data.params["data.path"]) == 500
    losses = client.get_metric_history(run.info.run_id, "train/box_loss")
    assert sorted((one.step, round(one.value, 3)) for one in losses) == [
        (1, 1.5),
        (2, 1.4),
        (3, 1.3),
    ]


def test_a_server_that_is_away_costs_the_training_nothing(monkeypatch, tmp_path):
    pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    uri = f"http://anna:s3cret@127.0.0.1:{port}"
    log = MlflowLog(uri, "bccd", "run student", {}, tmp_path / "id")
    reporter = Noted()

    Tracking({"MLflow": log}, reporter).epoch_ended(epoch(0))

    assert len(reporter.notes) == 1
    assert reporter.notes[0].startswith("MLflow is not written any more: ")
    assert f"http://127.0.0.1:{port}/" in reporter.notes[0]
    assert not (tmp_path / "id").exists()
