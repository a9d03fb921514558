"""INT8 that calibrating alone does not get past the gate is fine-tuned beside the teacher."""

from collections.abc import Callable
from pathlib import Path

import pytest

from distill_jobs.data.dataset import Dataset
from distill_jobs.progress import Silent
from distill_jobs.recipe.compression import FineTuning
from distill_jobs.recipe.release import Gate
from distill_jobs.release.build import build_release
from distill_jobs.release.request import Int8Tuning, ReleaseRequest

Make = Callable[..., ReleaseRequest]


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
def request_of(
    request_for: Make, small_set: Dataset, tiny_checkpoint: Path
) -> Callable[[Gate], ReleaseRequest]:
    images = tuple(one.image for one in small_set.split("train"))

    def make(gate: Gate) -> ReleaseRequest:
        return request_for(
            exports=("onnxruntime-fp32", "onnxruntime-int8"),
            samples=small_set.split("val")[:100],
            calibration=images,
            choosing=small_set.split("val")[100:],
            gate=gate,
            int8_tuning=Int8Tuning(FineTuning(epochs=2, batch=4), images, tiny_checkpoint),
        )

    return make


def test_fine_tuning_comes_after_calibrating_was_refused(
    request_of: Callable[[Gate], ReleaseRequest],
) -> None:
    notes = Notes()

    result = build_release(
        request_of(Gate(min_retention_map50=0, max_int8_drop_map50_95=1, min_matched_f1=1)), notes
    )

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
