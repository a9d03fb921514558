"""An INT8 archive in a real TorchServe: the variant that its card lists is the one that answers."""

import json
import os
import sys
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_networks import OPEN_GATE

from distill_jobs.data.dataset import Dataset
from distill_jobs.progress import Silent
from distill_jobs.release.build import build_release
from distill_jobs.release.request import ReleaseRequest
from handlers.pipeline import Frame, Pipeline
from tests.handlers.live_torchserve import live_torchserve

pytestmark = pytest.mark.slow  # starts a real TorchServe


def test_torchserve_answers_with_the_int8_variant(
    request_for: Callable[..., ReleaseRequest], small_set: Dataset, tmp_path: Path
) -> None:
    request = request_for(
        exports=("onnxruntime-int8",), samples=small_set.split("val")[:100], gate=OPEN_GATE
    )
    result = build_release(request, Silent())
    image = request.samples[0].image.read_bytes()
    with zipfile.ZipFile(result.archive) as parts:
        parts.extractall(tmp_path / "archive")
    (expected,) = Pipeline.load(tmp_path / "archive").detect([Frame(image)])

    python = Path(sys.executable)
    # TorchServe's workers run on the first Python of the path.
    environment = {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    with live_torchserve(python, result.archive.parent, environment) as live:
        call(f"{live.management_url}/models?url=tiny-1.0.mar&initial_workers=1&synchronous=true")
        answer = call(f"{live.inference_url}/predictions/tiny/1.0", image)

    assert [one.name for one in result.variants] == ["onnxruntime-int8"]
    assert answer["variant"] == "onnxruntime-int8"
    assert len(answer["scores"]) > 0
    assert answer["scores"] == pytest.approx(expected.scores.tolist(), abs=1e-4)


def call(url: str, body: bytes = b"") -> Any:
    headers = {"Content-Type": "application/octet-stream"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - our own loopback server
    with urllib.request.urlopen(request, timeout=120) as reply:  # noqa: S310 - likewise
        return json.load(reply)
