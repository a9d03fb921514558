import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from distill_jobs.cli import job_app
from distill_jobs.run_folder import RunFolder


@pytest.fixture
def cli(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    return lambda *arguments: CliRunner().invoke(job_app, list(arguments))


@pytest.mark.parametrize(
    "command",
    ["run", "resume", "show", "list", "report", "compare", "diagnose", "sweep", "redistil"],
)
def test_help_teaches(cli, command):
    answer = cli(command, "--help")

    assert answer.exit_code == 0
    assert len(answer.output) > 300


def test_a_fault_in_the_job_file_is_one_line_and_exit_status_2(cli, write_job, tmp_path):
    path = write_job(("seed: 3", "seed: -3"))

    answer = cli("run", str(path), "--run-dir", str(tmp_path / "run"))

    assert answer.exit_code == 2
    assert f"error: {path}:2: seed: Input should be greater than or equal to 0; it is -3" in (
        answer.stderr
    )
    assert "Traceback" not in answer.output
    assert not (tmp_path / "run").exists()


INT8 = {
    "name": "onnxruntime-int8",
    "file_bytes": 3_431_913,
    "map50": 0.975,
    "map50_95": 0.827,
    "p50_ms": 102.9,
    "p99_ms": 103.5,
    "matched_f1": 0.991,
    "strict_f1": 0.962,
}


@pytest.mark.parametrize("command", ["resume", "show"])
def test_a_folder_without_a_run_is_told_plainly(cli, command, tmp_path):
    answer = cli(command, str(tmp_path))

    assert answer.exit_code == 2
    assert "holds no run: begin one with `understudy job run`" in answer.stderr


def test_show_tells_steps_and_figures_on_80_columns(cli, write_job, tmp_path):
    folder = RunFolder.create(tmp_path / "run", write_job(), {})
    for step, figures in (
        ("data", {}),
        ("teacher", {"parameters": 3_011_628, "train_seconds": 216.4}),
        ("student", {"parameters": 913_028, "train_seconds": 120.0}),
        (
            "release-teacher",
            {"map50": 0.976, "map50_95": 0.828, "images": 160, "variants": [INT8]},
        ),
    ):
        with folder.step(step) as marker:
            marker.update(figures)
    with pytest.raises(KeyError), folder.step("release-student") as marker:
        raise KeyError

    answer = cli("show", str(tmp_path / "run"))

    assert answer.exit_code == 0
    assert max(map(len, answer.output.splitlines())) <= 80
    rows = [line.split() for line in answer.output.splitlines()]
    teacher = next(row for row in rows if "3,011,628" in row)
    assert {"teacher", "216", "0.976", "0.828", "160"} <= set(teacher)
    assert any("release-student" in row and "unfinished" in row for row in rows)
    assert any("30.3%" in row for row in rows)
    variant = next(line for line in answer.output.splitlines() if "onnxruntime-int8" in line)
    assert "0.991" in variant
    assert "0.962" in variant


def test_the_commands_start_without_torch():
    probe = (
        "import distill_jobs.cli, sys, json;"
        "print(json.dumps([m for m in ('torch', 'ultralytics', 'cv2') if m in sys.modules]))"
    )

    out = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    ).stdout

    assert json.loads(out) == []
