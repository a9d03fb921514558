"""The whole way, shortened: a tiny student, the teacher that ships, a real server, real swaps."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import cv2
import pytest
from commands import Run

from distill_jobs.environment import PROJECT_ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# The demo's own job, shortened: the student learns for five epochs and the gate lets it through.
SHORTER = (
    ("train: 480, val: 48, test: 160", "train: 160, val: 16, test: 100"),
    ("weights: teacher.pt", f"weights: {PROJECT_ROOT}/distill_jobs/demo/teacher.pt"),
    ("epochs: 14", "epochs: 5"),
    ("  warmup_epochs: 1\n", "  warmup_epochs: 0\n"),
    ("close_mosaic: 3", "close_mosaic: 0"),
    ("warmup_epochs: 1, ramp_epochs: 1", "warmup_epochs: 0, ramp_epochs: 1"),
    ("archive:", "gate: {min_retention_map50: 0.0}\n\narchive:"),
)


@pytest.fixture
def short_job(tmp_path: Path) -> Path:
    text = (PROJECT_ROOT / "distill_jobs" / "demo" / "job.yaml").read_text()
    for old, new in SHORTER:
        assert old in text, old
        text = text.replace(old, new)
    path = tmp_path / "job.yaml"
    path.write_text(text)
    return path


def test_demo_distils_archives_serves_and_swaps_without_losing_a_frame(
    understudy: Run, short_job: Path, tmp_path: Path
) -> None:
    output, store = tmp_path / "demo", tmp_path / "model_store"
    places = ("--output", output, "--model-store", store)

    told = understudy("demo", "--job", short_job, "--frames", "120", *places).stdout

    report = json.loads((output / "report.json").read_text())
    assert (report["failed"], report["hung"], report["strays"]) == (0, 0, 0), report["errors"]
    assert report["requests"] >= 4 * 120
    assert report["teacher"]["map50"] >= 0.85
    assert report["student"]["parameters"] * 3 <= report["teacher"]["parameters"]
    assert 0 < report["swap_seconds"] < 5
    assert 0 < report["rollback_seconds"] < 1
    assert report["teacher"]["requests"] > 0 < report["student"]["requests"]
    for arm in ("teacher", "student"):
        archive = store / report[arm]["archive"]
        understudy("release", "verify", archive)
        assert {"card.json", "detection_handler.py", "handlers/pipeline.py"} <= set(
            zipfile.ZipFile(archive).namelist()
        )
        card = json.loads(zipfile.ZipFile(archive).read("card.json"))
        assert card["golden_frames"]
        assert "handlers/pipeline.py" in card["digests"]
    pictures = sorted((output / "pictures").glob("*.png"))
    assert len(pictures) == 3
    for picture in pictures:
        assert cv2.imread(str(picture)).shape[1] > 640
    metrics = (output / "metrics.txt").read_text()
    assert "understudy_request_seconds_bucket" in metrics
    assert "ts_inference_requests_total" in metrics
    assert "http://127.0.0.1:" in told
    assert "mAP50, held out" in told


def test_ctrl_c_is_heard_while_the_student_is_made(tmp_path: Path) -> None:
    places = ("--output", str(tmp_path / "demo"), "--model-store", str(tmp_path / "store"))
    command = [sys.executable, "-m", "understudy", "demo", *places]
    environment = os.environ | {"UNDERSTUDY_HOME": str(tmp_path / "home")}

    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as demo:
        assert demo.stdout is not None
        begun = tmp_path / "demo" / "job" / "steps" / "data.begun"
        while not begun.exists():
            assert demo.poll() is None
            time.sleep(0.02)
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=30)

    assert demo.returncode == 130
    assert not list((tmp_path / "store").iterdir())
