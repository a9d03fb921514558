"""Frames that do not decode are skipped, counted and listed."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_networks import OPEN_GATE

from distill_jobs.data.dataset import Dataset
from distill_jobs.data.taught import Taught
from distill_jobs.errors import ReleaseInvalid
from distill_jobs.progress import Silent
from distill_jobs.release.asking import ask_checkpoint
from distill_jobs.release.build import build_release
from distill_jobs.release.frames import Frames
from distill_jobs.release.looking import looked_at
from distill_jobs.release.request import ReleaseRequest
from distill_jobs.release.stored import read_detections
from distill_jobs.release.workbench import prepare


class Heard(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def yard(tmp_path: Path) -> Path:
    """Two sound images, a cut one, a BMP, which workers do not read, and a text."""
    folder = tmp_path / "yard"
    folder.mkdir()
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    for name in ("a.jpg", "b.png", "c.bmp"):
        assert cv2.imwrite(str(folder / name), picture)
    (folder / "cut.jpg").write_bytes((folder / "a.jpg").read_bytes()[:300])
    (folder / "notes.txt").write_text("two sound ones")
    return folder


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """An empty folder."""
    folder = tmp_path / "copies"
    folder.mkdir()
    return folder


def test_a_broken_frame_is_skipped_counted_and_listed(
    yard: Path, copies: Path, tmp_path: Path
) -> None:
    heard = Heard()

    frames = Frames.copied(yard, copies)
    frames.tell(tmp_path, heard)

    assert frames.images == (copies / "a.jpg", copies / "b.png")
    assert [fault.file.name for fault in frames.faults] == ["c.bmp", "cut.jpg"]
    (note,) = heard.notes
    assert "2 of 4 images are skipped (c.bmp: image: " in note
    listed = json.loads((tmp_path / "frame_faults.json").read_text())
    assert (listed["images"], listed["skipped_images"]) == (4, 2)
    assert [Path(one["file"]).name for one in listed["faults"]] == ["c.bmp", "cut.jpg"]


def test_a_frame_that_goes_while_the_folder_is_looked_at_is_skipped(
    yard: Path, copies: Path
) -> None:
    (yard / "gone.jpg").symlink_to(yard / "evicted.jpg")

    frames = Frames.copied(yard, copies)

    assert [image.name for image in frames.images] == ["a.jpg", "b.png"]
    assert "was removed while" in {one.file.name: one.why for one in frames.faults}["gone.jpg"]


def test_every_model_is_asked_about_the_frames_of_one_look(
    request_for: Callable[..., ReleaseRequest], small_set: Dataset, tmp_path: Path
) -> None:
    """A harvest at its limit loses a frame for each that comes, while models are asked."""
    pictures = [one.image for one in small_set.split("val")]
    folder = tmp_path / "camera"
    folder.mkdir()
    for picture in pictures[:8]:
        shutil.copyfile(picture, folder / picture.name)
    coming = iter(pictures[8:])

    class Camera(Heard):
        def stage(self, name: str, total: int) -> None:
            min(folder.iterdir()).unlink()
            picture = next(coming)
            shutil.copyfile(picture, folder / picture.name)

    gate = OPEN_GATE.model_copy(update={"frames": folder, "min_agreement_f1": 0.99})
    request = request_for(gate=gate)

    with looked_at(request, Camera()) as looked:
        teacher = ask_checkpoint(looked.checkpoint, looked, Camera())
        prepare(replace(looked, role="teacher"), Camera())
        kept = read_detections(request.work_dir / "frames.npz", pictures[:8])
        result = build_release(replace(looked, teacher=teacher), Camera())

    (agreement,) = [one for one in result.checks if one.rule == "min_agreement_f1"]
    assert agreement.measured is not None
    assert agreement.measured.value == 1.0
    assert kept is not None
    for one, other in zip(kept, teacher.frames, strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)
    noted = json.loads((request.work_dir / "report.json").read_text())["frames"]
    assert noted == {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in pictures[:8]}
    assert not (request.work_dir / "frames").exists()


def test_a_teacher_that_was_asked_about_other_frames_is_no_measure(
    request_for: Callable[..., ReleaseRequest], small_set: Dataset, tmp_path: Path
) -> None:
    folder = tmp_path / "camera"
    folder.mkdir()
    first, second = (one.image for one in small_set.split("val")[:2])
    shutil.copyfile(first, folder / "1.png")
    request = request_for(gate=OPEN_GATE.model_copy(update={"frames": folder}))
    with looked_at(request, Silent()) as looked:
        teacher = ask_checkpoint(looked.checkpoint, looked, Silent())

    shutil.copyfile(second, folder / "1.png")
    with pytest.raises(ReleaseInvalid, match="were asked about different frames"):
        build_release(replace(request, teacher=teacher), Silent())


def test_where_all_is_sound_nothing_is_said(yard: Path, copies: Path, tmp_path: Path) -> None:
    for name in ("c.bmp", "cut.jpg"):
        (yard / name).unlink()
    heard = Heard()

    Frames.copied(yard, copies).tell(tmp_path, heard)
    Frames.copied(None, copies).tell(tmp_path, heard)

    assert heard.notes == []
    assert not (tmp_path / "frame_faults.json").exists()


def test_a_release_goes_on_without_a_broken_frame(
    request_for: Callable[..., ReleaseRequest], yard: Path
) -> None:
    heard = Heard()
    request = request_for(gate=OPEN_GATE.model_copy(update={"frames": yard}))

    result = build_release(request, heard)

    assert result.archive.exists()
    assert sum("2 of 4 images are skipped" in note for note in heard.notes) == 1
    assert (request.work_dir / "frame_faults.json").exists()


def test_a_folder_without_a_sound_frame_is_named(yard: Path, copies: Path) -> None:
    for name in ("a.jpg", "b.png"):
        (yard / name).unlink()

    with pytest.raises(ReleaseInvalid, match=r"gate\.frames: no image of .*yard decodes: c\.bmp"):
        Frames.copied(yard, copies)
    with pytest.raises(ReleaseInvalid, match=r"gate\.frames: .*gone holds no image"):
        Frames.copied(yard / "gone", copies)


def test_what_the_student_was_trained_on_is_no_frame_to_agree_on(
    tmp_path: Path, copies: Path
) -> None:
    generator = np.random.default_rng(3)
    yard, train = tmp_path / "yard", tmp_path / "data/images/train"
    for folder in (yard, train):
        folder.mkdir(parents=True)
    for name in ("same", "almost", "fresh"):
        patches = generator.integers(0, 256, (8, 8, 3), np.uint8)
        picture = cv2.resize(patches, (96, 64), interpolation=cv2.INTER_CUBIC)
        assert cv2.imwrite(str(yard / f"{name}.png"), picture)
        if name != "fresh":
            noise = 3 * (name == "almost")
            near = np.clip(picture.astype(int) + noise, 0, 255).astype(np.uint8)
            assert cv2.imwrite(str(train / f"000000-{name}.webp"), near, [64, 101])
    taught = Taught(tuple(sorted(train.iterdir())), near_bits=6)

    frames = Frames.copied(yard, copies, taught)

    assert [image.name for image in frames.images] == ["fresh.png"]
    assert {fault.file.name: fault.why for fault in frames.faults} == {
        "same.png": "was trained on, as 000000-same.webp",
        "almost.png": "is almost 000000-almost.webp, which was trained on",
    }
    (yard / "fresh.png").unlink()
    with pytest.raises(ReleaseInvalid, match=r"gate\.frames: .*the student is trained on them all"):
        Frames.copied(yard, copies, taught)
