"""`understudy tune` as an operator types it, with real workers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import structlog
import typer
from typer.testing import CliRunner, Result

from proto.wire.v1 import card_pb2
from serving.commands.tune import tune
from serving.machine import Machine
from serving.tuning.deploy_settings import DeploySettings

app = typer.Typer(rich_markup_mode="rich")
app.command()(tune)

ELSEWHERE = ((50, 20, 16, 16, 0.9, 0.01), (10, 40, 12, 20, 0.02, 0.8))
BUSY = 12
_APPEARS_S = 60.0


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """What the command silences is heard by the tests that follow."""
    yield
    structlog.reset_defaults()


def run(*arguments: str, home: Path) -> Result:
    variables = {"COLUMNS": "80", "TERM": "dumb", "UNDERSTUDY_HOME": str(home)}
    return CliRunner().invoke(app, [*arguments], env=variables)


def plant(card: card_pb2.Card) -> None:
    """List a variant that is fast and wrong; `ungated.onnx` lies there, and no variant names it."""
    wrong = card.variants.add()
    wrong.CopyFrom(card.variants[0])
    wrong.name, wrong.precision, wrong.file = "onnxruntime-int8", "int8", "wrong.onnx"


def plant_ungated(card: card_pb2.Card) -> None:
    """List a variant that promises no answers: it was held against nothing."""
    ungated = card.variants.add()
    ungated.CopyFrom(card.variants[0])
    ungated.name, ungated.precision, ungated.file = "onnxruntime-fp16", "fp16", "ungated.onnx"
    ungated.ClearField("tolerance")


@pytest.fixture
def planted(archives: Any, tmp_path: Path) -> Path:
    """A slow archive that is right, with a fast file that is wrong and one that passed no gate."""
    files = {"wrong.onnx": archives.weights(ELSEWHERE), "ungated.onnx": archives.weights()}
    path: Path = archives.build(tmp_path / "store", busy=BUSY, files=files, change_card=plant)
    return path


@pytest.mark.slow
def test_a_wrong_variant_is_discarded_and_what_holds_the_target_is_written(
    planted: Path, archives: Any, tmp_path: Path
) -> None:
    asked = ("--trusted-key", str(archives.public_key), "--output", str(tmp_path))

    done = run(str(planted), *asked, "--p99-ms", "2000", "--budget", "30s", home=tmp_path)

    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    assert "onnxruntime-int8 reached F1 0.000 against the card's answers" in said
    assert "<--" in said
    file = tmp_path / "student-1.0.deploy.yaml"
    assert f"understudy deploy {planted} --settings {file}" in said
    settings = DeploySettings.read(file)
    assert settings.deploy.variant == "onnxruntime-fp32"
    assert settings.deploy.workers * (settings.deploy.threads or 0) <= Machine.here().cores
    assert settings.machine == Machine.here()
    assert settings.tuned is not None
    assert settings.tuned.release == "student-1.0"
    assert 0 < settings.tuned.p99_ms <= 2000


def test_a_variant_that_passed_no_gate_is_never_run(archives: Any, tmp_path: Path) -> None:
    files = {"ungated.onnx": archives.weights()}
    path = archives.build(tmp_path / "store", files=files, change_card=plant_ungated)

    refused = run(str(path), "--trusted-key", str(archives.public_key), home=tmp_path)

    assert refused.exit_code == 1
    assert "tolerance of onnxruntime-fp16: min_f1" in " ".join(refused.stderr.split())


def test_what_cannot_be_tuned_is_refused_by_name(
    planted: Path, archives: Any, tmp_path: Path
) -> None:
    trusted = ("--trusted-key", str(archives.public_key))
    (tmp_path / "empty").mkdir()

    for arguments, told in (
        ((str(planted), "--variant", "openvino-int8", *trusted), "has no 'openvino-int8'"),
        ((str(planted), "--variant", "onnxruntime-fp16", *trusted), "has no 'onnxruntime-fp16'"),
        ((str(planted), "--frames", str(tmp_path / "empty"), *trusted), "has no JPEG, PNG or WebP"),
        ((str(tmp_path / "absent-1.0.mar"), *trusted), "no file"),
        ((str(planted),), "signing-key.pub.pem"),
    ):
        refused = run(*arguments, home=tmp_path)
        assert refused.exit_code == 1
        assert told in " ".join(refused.stderr.split())

    absent = run(str(planted), *trusted, "--output", str(tmp_path / "absent/x.yaml"), home=tmp_path)
    assert absent.exit_code == 2
    assert "no such folder" in " ".join(absent.stderr.replace("│", " ").split())

    short = run(str(planted), "--budget", "5s", home=tmp_path)
    assert short.exit_code == 2
    assert "a search takes 30s at least" in " ".join(short.stderr.replace("│", " ").split())


@pytest.mark.slow
def test_frames_that_are_no_images_are_named(
    planted: Path, archives: Any, tmp_path: Path, image: bytes
) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "1.jpg").write_bytes(image)
    (frames / "2.jpg").write_text("no image")
    trusted = ("--trusted-key", str(archives.public_key), "--frames", str(frames))

    refused = run(str(planted), *trusted, home=tmp_path)

    assert refused.exit_code == 1
    assert "frames: 2.jpg: " in refused.stderr


@pytest.fixture
def heeded() -> Iterator[None]:
    """Ctrl-C is heeded by what is started: a suite in a shell's background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_it_tells_what_it_has_and_leaves_nothing(
    planted: Path, archives: Any, tmp_path: Path, number: int
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "understudy", "tune", str(planted)]
    command += ["--trusted-key", str(archives.public_key), "--output", str(tmp_path)]
    environment = {**os.environ, "TMPDIR": str(scratch), "UNDERSTUDY_HOME": str(tmp_path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        below = until_a_worker_runs(process.pid)
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 130, said
    assert "Interrupted; no way yet" in said
    assert "Traceback" not in said
    psutil.wait_procs(below, timeout=10)
    assert [one for one in below if one.is_running()] == []
    assert list(scratch.glob("understudy-*")) == []
    assert not list(tmp_path.glob("*.deploy.yaml"))


def until_a_worker_runs(pid: int) -> list[psutil.Process]:
    """Return all processes below one, once a TorchServe worker is among them."""
    for _ in waiting():
        below = psutil.Process(pid).children(recursive=True)
        if any("model_service_worker" in " ".join(command_of(one)) for one in below):
            return below
    raise AssertionError("no worker appeared")


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has just ended
        return []


def waiting() -> Iterator[None]:
    ends_s = time.monotonic() + _APPEARS_S
    while time.monotonic() < ends_s:
        yield
        time.sleep(0.05)
