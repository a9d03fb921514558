"""What the gate cannot judge is refused before a training, not after."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from distill_jobs.errors import ReleaseInvalid
from distill_jobs.progress import Silent
from distill_jobs.release.build import build_release
from distill_jobs.release.request import ReleaseRequest
from distill_jobs.run import run_job

Write = Callable[..., Path]


class Heard(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def refusal(
    write_job: Write, data_set: Path, tmp_path: Path, signing_key: Path
) -> Callable[..., str]:
    """Return a function that runs a job with that gate and returns how it was refused."""

    def refused(gate: str = "{}", exports: str = "", heard: Silent | None = None) -> str:
        job = write_job(
            ("scenes: {train: 16, val: 8, test: 8, size: 96}", f"path: {data_set}"),
            (
                "licences:",
                f"archive: {{teacher_name: big, student_name: small}}\ngate: {gate}\n"
                f"{exports}licences:",
            ),
        )
        with pytest.raises(ReleaseInvalid) as caught:
            run_job(
                job,
                tmp_path / "run",
                reporter=heard or Silent(),
                model_store=tmp_path / "run-store",
                signing_key=signing_key,
            )
        assert not list((tmp_path / "run").rglob("*.pt"))
        return caught.value.message

    return refused


def test_a_live_archive_that_is_absent(refusal: Callable[..., str]) -> None:
    heard = Heard()

    message = refusal("{live: gone.mar}", heard=heard)

    assert "gone.mar: no such archive" in message
    (note,) = [one for one in heard.notes if one.startswith("exports: ")]
    assert note.startswith("exports: onnxruntime-int8, openvino-bf16, openvino-int8")
    assert "will be left out: 3 held-out images are too few" in note


def test_a_live_archive_of_other_classes(
    refusal: Callable[..., str], request_for: Callable[..., ReleaseRequest]
) -> None:
    live = build_release(request_for(name="live"), Silent()).archive

    message = refusal(f"{{live: {live}}}")

    assert message.startswith("gate.live: ")
    assert "knows the classes round, long, odd, the student cat, dog" in message


def test_frames_that_are_too_few(refusal: Callable[..., str], tmp_path: Path) -> None:
    yard = tmp_path / "yard"
    yard.mkdir()
    for index in range(3):
        assert cv2.imwrite(str(yard / f"{index}.png"), np.full((40, 60, 3), index, np.uint8))
    (yard / "cut.png").write_bytes((yard / "0.png").read_bytes()[:60])
    heard = Heard()

    message = refusal("{frames: yard}", heard=heard)

    assert "holds 3 sound images not trained on; gate.min_agreement_f1 needs 100" in message
    assert any("1 of 4 images are skipped (cut.png" in note for note in heard.notes)


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("{max_live_drop_map50_95: 0.1}", "gate.max_live_drop_map50_95: is measured on gate.live"),
        ("{max_live_drop_f1: 0.1}", "gate.max_live_drop_f1: is measured on gate.live"),
        ("{min_agreement_f1: 0.9}", "gate.min_agreement_f1: is measured on gate.frames"),
    ],
)
def test_limits_that_nothing_will_be_measured_for(
    refusal: Callable[..., str], gate: str, message: str
) -> None:
    assert message in refusal(gate)


def test_variants_that_cannot_be_judged(refusal: Callable[..., str]) -> None:
    message = refusal(exports="exports: [onnxruntime-int8]\n")

    assert message.startswith("exports: 3 held-out images are too few")
