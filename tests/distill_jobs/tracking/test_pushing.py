import base64
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx
import pytest
from epochs import Noted, epoch
from prometheus_programs import pushgateway

from distill_jobs.errors import JobError, TrainingFailed
from distill_jobs.run_folder import RunFolder
from distill_jobs.tracking.pushed import PushedEpochs, run_pushed
from distill_jobs.tracking.pushgateway import Figures, Pushgateway, pushgateway_address

VARIANT = {
    "name": "onnxruntime-int8",
    "file_bytes": 1000,
    "map50": 0.95,
    "map50_95": 0.76,
    "p50_ms": 12.5,
    "p99_ms": 20.0,
    "matched_f1": 0.99,
}


@pytest.fixture(scope="module")
def gateway_url(tmp_path_factory):
    with pushgateway(tmp_path_factory.mktemp("pushgateway")) as url:
        yield url


@pytest.fixture
def pushed(gateway_url, monkeypatch):
    """Name the gateway to jobs; returns what it holds, by series."""
    monkeypatch.setenv("UNDERSTUDY_PUSHGATEWAY", gateway_url)

    def series():
        lines = httpx.get(f"{gateway_url}/metrics").text.splitlines()
        told = (line.rpartition(" ") for line in lines if line.startswith("understudy_job"))
        return {name: float(value) for name, _, value in told}

    return series


def of(name, role="", **labels):
    labels |= {"distillation": "tiny", "instance": "", "job": "understudy_job"}
    labels |= {"role": role} if role else {}
    told = ",".join(f'{key}="{labels[key]}"' for key in sorted(labels))
    return f"understudy_job_{name}{{{told}}}"


def make_run(write_job, folder):
    run = RunFolder.create(folder, write_job(), {})
    for step, figures in (
        ("teacher", {"parameters": 3_000_000, "train_seconds": 200.0}),
        ("student", {"parameters": 900_000, "train_seconds": 100.0}),
        ("release-teacher", {"map50": 0.98, "map50_95": 0.8, "images": 160}),
        ("release-student", {"map50": 0.95, "map50_95": 0.76, "variants": [VARIANT]}),
    ):
        with run.step(step) as marker:
            marker.update(figures)
    return run


def test_each_epoch_replaces_the_one_before_and_leaves_the_other_role_s(pushed, gateway_url):
    gateway = Pushgateway(gateway_url, "tiny", Noted())

    PushedEpochs(gateway, "teacher").epoch_ended(epoch(2))
    for number in range(2):
        PushedEpochs(gateway, "student").epoch_ended(epoch(number))

    found = pushed()
    assert found[of("epoch", "teacher")] == 3
    assert found[of("epoch", "student")] == 2
    assert found[of("epochs", "student")] == 3
    assert found[of("loss", "student", loss="box_loss")] == pytest.approx(1.4)
    assert found[of("validation_ratio", "student", figure="map50_95")] == 0.25
    assert found[of("teacher_weight_ratio", "student")] == 0.5
    assert found[of("learning_rate", "student")] == 0.01
    assert found[of("training_seconds", "student")] == 6
    assert found[of("progress_timestamp_seconds", "student")] > 1.7e9


def test_a_run_pushes_that_it_runs_and_what_came_of_it(pushed, write_job, tmp_path):
    run = make_run(write_job, tmp_path / "run")

    with run_pushed(run, Noted()):
        assert pushed()[of("state", state="running")] == 1

    found = pushed()
    assert [found[of("state", state=one)] for one in ("running", "done", "failed")] == [0, 1, 0]
    assert found[of("held_out_ratio", "student", figure="map50_95")] == 0.76
    assert found[of("parameters", "teacher")] == 3_000_000
    assert found[of("variant_p50_seconds", "student", variant="onnxruntime-int8")] == 0.0125
    assert found[of("succeeded_timestamp_seconds")] >= found[of("began_timestamp_seconds")]


def test_a_run_that_fails_says_so_and_keeps_when_it_last_succeeded(pushed, write_job, tmp_path):
    run = make_run(write_job, tmp_path / "run")
    with run_pushed(run, Noted()):
        pass
    succeeded = pushed()[of("succeeded_timestamp_seconds")]

    with pytest.raises(TrainingFailed), run_pushed(run, Noted()):
        raise TrainingFailed("no")

    found = pushed()
    assert found[of("state", state="failed")] == 1
    assert found[of("succeeded_timestamp_seconds")] == succeeded


def test_a_gateway_that_is_away_is_noted_once_and_ends_nothing():
    reporter = Noted()
    gateway = Pushgateway("http://anna:s3cret@127.0.0.1:1", "tiny", reporter)

    for _ in range(2):
        gateway.push([Figures.one("epoch", "Epochs", 1)])

    (note,) = reporter.notes
    assert "127.0.0.1:1 took no figures" in note
    assert "s3cret" not in note


def test_a_user_and_password_are_presented_and_are_no_part_of_the_address():
    seen = []

    class Asks(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append((self.path, self.headers["Authorization"]))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Asks) as server:
        answering = Thread(target=server.handle_request)
        answering.start()
        address = f"http://anna:s3cret@127.0.0.1:{server.server_port}"
        Pushgateway(address, "tiny", Noted()).push([Figures.one("epoch", "Epochs", 1)], "student")
        answering.join(10)

    ((path, presented),) = seen
    assert path == "/metrics/job/understudy_job/distillation/tiny/role/student"
    assert base64.b64decode(presented.removeprefix("Basic ")) == b"anna:s3cret"


def test_nobody_named_one(monkeypatch, write_job, tmp_path):
    monkeypatch.delenv("UNDERSTUDY_PUSHGATEWAY", raising=False)
    reporter = Noted()

    with run_pushed(make_run(write_job, tmp_path / "run"), reporter):
        pass

    assert pushgateway_address() is None
    assert reporter.notes == []


@pytest.mark.parametrize("named", ["ftp://here:9091", "http://"])
def test_what_is_no_address_is_refused_before_a_training(monkeypatch, named):
    monkeypatch.setenv("UNDERSTUDY_PUSHGATEWAY", named)

    with pytest.raises(JobError, match="UNDERSTUDY_PUSHGATEWAY"):
        pushgateway_address()


def test_a_host_and_port_is_an_address(monkeypatch):
    monkeypatch.setenv("UNDERSTUDY_PUSHGATEWAY", "metrics.example:9091")

    assert pushgateway_address() == "http://metrics.example:9091"
