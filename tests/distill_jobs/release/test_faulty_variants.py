"""A variant that does not run is left out; a checkpoint that does not is refused."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_networks import tiny_model

from distill_jobs.data.dataset import Dataset
from distill_jobs.errors import CheckpointRefused
from distill_jobs.progress import Silent
from distill_jobs.recipe.compression import FineTuning
from distill_jobs.recipe.release import Gate
from distill_jobs.release.asking import ask_checkpoint
from distill_jobs.release.build import build_release
from distill_jobs.release.checking import check_variants
from distill_jobs.release.making import Attempt
from distill_jobs.release.request import Int8Tuning, ReleaseRequest
from distill_jobs.release.workbench import prepare

Make = Callable[..., ReleaseRequest]
# As INT8, that is.
NOTHING_PASSES = Gate(
    min_retention_map50=0, max_int8_drop_map50_95=1, min_matched_f1=1, resamples=200
)


class Notes(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def diverged() -> torch.nn.Module:
    """A network whose scores are no numbers."""
    model = tiny_model()
    with torch.no_grad():
        for level in model.model[-1].cv3:
            level[-1].bias.fill_(torch.nan)
    return model


@pytest.fixture
def diverged_checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "diverged.pt"
    torch.save({"model": diverged(), "train_args": {"task": "detect"}}, path)
    return path


def test_a_checkpoint_that_answers_no_numbers_is_refused(
    request_for: Make, diverged_checkpoint: Path
) -> None:
    with pytest.raises(CheckpointRefused, match=r"diverged\.pt: .*not numbers"):
        build_release(request_for(checkpoint=diverged_checkpoint), Silent())
    with pytest.raises(CheckpointRefused, match=r"diverged\.pt: .*not numbers"):
        ask_checkpoint(diverged_checkpoint, request_for(), Silent())


class Scribbler:
    """Makes files that no runtime loads."""

    def attempts(self, name: str) -> Iterator[Attempt]:
        yield Attempt(name, lambda file: file.write_text("no graph"))


def test_a_variant_that_does_not_load_is_left_out(request_for: Make, small_set: Dataset) -> None:
    exports = ("onnxruntime-int8", "torchscript-fp32")
    request = request_for(exports=exports, samples=small_set.split("val"))
    bench = replace(prepare(request, Silent()), maker=Scribbler())

    passed, left_out = check_variants(bench)

    assert passed == []
    assert "student-int8.onnx" in left_out["onnxruntime-int8"]
    assert "student.torchscript" in left_out["torchscript-fp32"]
    assert list(bench.stage.iterdir()) == []


@pytest.mark.slow
def test_a_fine_tuning_that_diverges_costs_nothing_but_itself(
    request_for: Make, small_set: Dataset, diverged_checkpoint: Path
) -> None:
    images = tuple(one.image for one in small_set.split("train"))
    tuning = Int8Tuning(FineTuning(epochs=1, batch=4, teacher=1.0), images, diverged_checkpoint)
    notes = Notes()

    result = build_release(
        request_for(
            exports=("onnxruntime-fp32", "onnxruntime-int8"),
            samples=small_set.split("val")[:100],
            choosing=small_set.split("val")[100:],
            gate=NOTHING_PASSES,
            int8_tuning=tuning,
        ),
        notes,
    )

    assert any("with fine-tuning: qat: the loss left the finite" in note for note in notes.said)
    # What agreed most of those that could be made was judged.
    assert "min_matched_f1" in result.left_out["onnxruntime-int8"]
    assert [one.name for one in result.variants] == ["onnxruntime-fp32"]
