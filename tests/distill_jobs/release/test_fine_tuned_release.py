"""INT8 that calibrating alone does not get past the gate is fine-tuned beside the teacher."""

import base64
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_networks import OPEN_GATE

from distill_jobs.data.dataset import Dataset
from distill_jobs.progress import Silent
from distill_jobs.recipe.compression import FineTuning
from distill_jobs.recipe.release import Gate
from distill_jobs.release.build import build_release, release_prepared
from distill_jobs.release.making import Attempt, Maker
from distill_jobs.release.request import Int8Tuning, ReleaseRequest
from distill_jobs.release.workbench import prepare
from handlers.pipeline import Frame, Pipeline

Make = Callable[..., ReleaseRequest]
PROBE = Path(__file__).parents[2] / "handlers" / "torchserve_loader_probe.py"


class Notes(Silent):
    """Keeps what a release says, and its stages."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.stages: list[tuple[str, int]] = []

    def stage(self, name: str, total: int) -> None:
        self.stages.append((name, total))

    def note(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def request_of(request_for: Make, small_set: Dataset, tiny_checkpoint: Path) -> Make:
    images = tuple(one.image for one in small_set.split("train"))

    def make(
        gate: Gate, exports: tuple[str, ...] = ("onnxruntime-fp32", "onnxruntime-int8")
    ) -> ReleaseRequest:
        return request_for(
            exports=exports,
            samples=small_set.split("val")[:100],
            calibration=images,
            choosing=small_set.split("val")[100:],
            gate=gate,
            int8_tuning=Int8Tuning(FineTuning(epochs=2, batch=4), images, tiny_checkpoint),
        )

    return make


@pytest.mark.slow
def test_fine_tuning_comes_after_calibrating_was_refused(
    request_of: Make,
) -> None:
    notes = Notes()

    nothing_passes = Gate(
        min_retention_map50=0, max_int8_drop_map50_95=1, min_matched_f1=1, resamples=200
    )

    result = build_release(request_of(nothing_passes), notes)

    tried = [note for note in notes.said if "onnxruntime-int8 with" in note]
    assert [note.split("with ")[1].split(":")[0] for note in tried] == [
        "2 float layers",
        "5 float layers",
        "fine-tuning",
    ]
    assert ("tiny-1.0: fine-tuning INT8", 2 * 2) in notes.stages
    (told,) = [note for note in notes.said if "loss by epoch" in note]
    assert len(told.rsplit(": ", 1)[1].split(", ")) == 2
    assert "min_matched_f1" in result.left_out["onnxruntime-int8"]
    # Three ways were compared on other images; of those that judge, one was looked at.
    assert notes.stages.count(("tiny-1.0: onnxruntime-int8's answers", 100)) == 1


class LastWay:
    """A maker whose last way is its only one: fine-tuning."""

    def __init__(self, maker: Maker) -> None:
        self._maker = maker

    def attempts(self, name: str) -> Iterator[Attempt]:
        yield list(self._maker.attempts(name))[-1]


@pytest.mark.slow
def test_fine_tuned_int8_is_archived_and_answers_in_torchserves_own_loader(
    request_of: Make, tmp_path: Path
) -> None:
    request = request_of(OPEN_GATE, exports=("onnxruntime-int8",))
    bench = prepare(request, Silent())

    result = release_prepared(replace(bench, maker=LastWay(bench.maker)))

    (int8,) = result.variants
    assert int8.matched_f1 > 0.8
    with zipfile.ZipFile(result.archive) as parts:
        parts.extractall(tmp_path / "archive")
    image = request.samples[0].image.read_bytes()
    (answer,) = Pipeline.load(tmp_path / "archive").detect([Frame(image)])
    served = _served(tmp_path / "archive", image)
    assert len(answer.scores) > 0
    assert served["variant"] == "onnxruntime-int8"
    assert served["scores"] == pytest.approx(answer.scores.tolist(), abs=1e-4)


def _served(archive: Path, image: bytes) -> dict[str, Any]:
    """Ask an extracted archive through the loader that TorchServe's workers use."""
    run = subprocess.run(
        [sys.executable, PROBE, archive],
        input=json.dumps([{"body": base64.b64encode(image).decode()}]),
        env=os.environ | {"PYTHONPATH": str(archive)},
        cwd=archive,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    (item,) = json.loads(run.stdout.splitlines()[-1])["items"]
    body: dict[str, Any] = json.loads(item["body"])
    return body
