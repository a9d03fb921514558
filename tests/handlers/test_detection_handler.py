"""The handler as TorchServe loads it: from an archive, in a process of its own."""

import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from encoded_images import bombs
from tiny_detectors import picture

PROBE = Path(__file__).with_name("torchserve_loader_probe.py")
RED = picture(red=(8, 8, 16, 16))
# Half of a cell is blue: a score of 0.5, under the card's threshold for blue.
FAINT = picture(red=(8, 8, 16, 16), blue=(32, 0, 36, 8))

pytestmark = pytest.mark.slow  # each test starts a Python that imports TorchServe, and so torch


def request(image: bytes, headers: dict[str, str] | None = None) -> dict[str, str]:
    return {"body": base64.b64encode(image).decode()} | (headers or {})


def ask_loader(
    python: Path, extracted: Path, environment: dict[str, str], requests: list[dict[str, str]]
) -> subprocess.CompletedProcess[str]:
    """Run the probe with the one PYTHONPATH that TorchServe's frontend gives a worker."""
    return subprocess.run(
        [python, PROBE, extracted],
        input=json.dumps(requests),
        env=environment | {"PYTHONPATH": str(extracted)},
        cwd=extracted,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def report_of(run: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert run.returncode == 0, run.stderr
    document: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return document


def test_the_decoy_is_what_everyone_else_would_import(
    decoy_python: Path, tmp_path: Path, clean_environment: dict[str, str]
) -> None:
    run = subprocess.run(
        [decoy_python, "-c", "import handlers"],
        env=clean_environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "the decoy copy of handlers was imported" in run.stderr


def test_torchserves_loader_takes_the_archives_own_code(
    decoy_python: Path, extracted: Path, clean_environment: dict[str, str]
) -> None:
    requests = [
        request(RED),
        request(b"no image"),
        request(RED, {"X-Min-Score": "abc"}),
        request(bombs()["png"]),
        request(FAINT, {"x-min-score": "0.4"}),
        request(FAINT, {"X-Min-Score": "0.4", "X-Max-Detections": "1"}),
        request(FAINT),
        request(b"not even an image", {"X-Deadline-Unix-Ms": str(int(1000 * time.time()))}),
        request(RED, {"X-Deadline-Unix-Ms": "9999999999999"}),
    ]

    statuses = [200, 400, 400, 413, 200, 200, 200, 504, 200]

    report = report_of(ask_loader(decoy_python, extracted, clean_environment, requests))

    assert report["code_from"] == str(extracted / "handlers" / "pipeline.py")
    assert [item["status"] for item in report["items"]] == statuses
    assert {item["type"] for item in report["items"]} == {"application/json"}
    replies = [json.loads(item["body"]) for item in report["items"]]
    good, text, option, bomb, *faint, late, in_time = replies
    assert (good["boxes"], good["scores"], good["classes"]) == ([8, 8, 16, 16], [1], [0])
    assert (good["v"], good["width"], good["height"], good["batch"]) == (1, 64, 64, 9)
    assert good["variant"] == "onnxruntime-fp32"
    assert (text["error"]["code"], text["error"]["field"]) == ("not_an_image", "image")
    assert (option["error"]["code"], option["error"]["field"]) == ("invalid_field", "min_score")
    assert bomb["error"]["code"] == "image_too_large"
    assert late["error"]["code"] == "deadline_exceeded"
    assert in_time["boxes"] == good["boxes"]
    assert [reply["classes"] for reply in faint] == [[0, 2], [0], [0]]


def test_the_environment_chooses_the_variant(
    decoy_python: Path, extracted: Path, clean_environment: dict[str, str]
) -> None:
    environment = clean_environment | {
        "UNDERSTUDY_VARIANT": "torchscript-fp32",
        "UNDERSTUDY_THREADS": "1",
    }

    report = report_of(ask_loader(decoy_python, extracted, environment, [request(RED)]))

    reply = json.loads(report["items"][0]["body"])
    assert reply["variant"] == "torchscript-fp32"
    assert reply["boxes"] == [8, 8, 16, 16]


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"UNDERSTUDY_VARIANT": "int4"}, "the card of cells has no 'int4'"),
        ({"UNDERSTUDY_THREADS": "two"}, "UNDERSTUDY_THREADS: must be a whole number above 0"),
    ],
)
def test_a_worker_that_is_set_up_wrong_does_not_start(
    decoy_python: Path,
    extracted: Path,
    clean_environment: dict[str, str],
    *,
    setting: dict[str, str],
    complaint: str,
    tmp_path: Path,
) -> None:
    choices = tmp_path / "choices"
    environment = clean_environment | setting | {"UNDERSTUDY_CHOICES": str(choices)}

    run = ask_loader(decoy_python, extracted, environment, [request(RED)])

    assert run.returncode != 0
    assert complaint in run.stderr
    (fault,) = choices.glob("fault-*")  # for whoever deploys, who does not see the worker
    assert complaint in fault.read_text()


@pytest.mark.parametrize(
    ("variant", "forbidden"),
    [
        ("onnxruntime-fp32", {"openvino", "torch", "torchvision"}),
        ("torchscript-fp32", {"onnxruntime", "openvino", "torchvision"}),
        ("openvino-fp32", {"onnxruntime", "openvino_telemetry", "torch"}),
    ],
)
def test_a_worker_imports_its_one_runtime_and_nothing_of_ours_and_leaves_nothing_at_home(
    extracted: Path,
    clean_environment: dict[str, str],
    tmp_path: Path,
    variant: str,
    forbidden: set[str],
) -> None:
    script = """
import json, sys
from pathlib import Path
from handlers.pipeline import Frame, Pipeline
import detection_handler
answers = Pipeline.load(Path(sys.argv[1]), sys.argv[2]).detect([Frame(sys.stdin.buffer.read())])
assert answers[0].class_ids.tolist() == [0]
print(json.dumps(sorted(sys.modules)))
"""
    telling = {"ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
    environment = {name: it for name, it in clean_environment.items() if name not in telling}
    never = {"ultralytics", "google.protobuf", "serving", "distill_jobs", "proto", "understudy"}

    run = subprocess.run(
        [sys.executable, "-c", script, extracted, variant],
        input=RED,
        env=environment | {"PYTHONPATH": str(extracted), "HOME": str(tmp_path)},
        cwd=extracted,
        capture_output=True,
        timeout=120,
        check=True,
    )

    # An engine that reports to its makers keeps who we are there.
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == []
    imported = set(json.loads(run.stdout))
    assert "handlers.boxes" in imported
    assert imported.isdisjoint(never | forbidden)
