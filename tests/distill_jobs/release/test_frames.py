"""Frames that do not decode are skipped, counted and listed."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_networks import OPEN_GATE

from distill_jobs.data.taught import Taught
from distill_jobs.errors import ReleaseInvalid
from distill_jobs.progress import Silent
from distill_jobs.release.build import build_release
from distill_jobs.release.frames import Frames
from distill_jobs.release.request import ReleaseRequest


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


def test_a_broken_frame_is_skipped_counted_and_listed(yard: Path, tmp_path: Path) -> None:
    heard = Heard()

    frames = Frames.of(yard)
    frames.tell(tmp_path, heard)

    assert [image.name for image in frames.images] == ["a.jpg", "b.png"]
    assert [fault.file.name for fault in frames.faults] == ["c.bmp", "cut.jpg"]
    (note,) = heard.notes
    assert "2 of 4 images are skipped (c.bmp: image: " in note
    listed = json.loads((tmp_path / "frame_faults.json").read_text())
    assert (listed["images"], listed["skipped_images"]) == (4, 2)
    assert [Path(one["file"]).name for one in listed["faults"]] == ["c.bmp", "cut.jpg"]


def test_a_frame_that_was_mended_counts_again(yard: Path) -> None:
    before = Frames.of(yard)

    (yard / "cut.jpg").write_bytes((yard / "a.jpg").read_bytes())

    assert "cut.jpg" not in {image.name for image in before.images}
    assert "cut.jpg" in {image.name for image in Frames.of(yard).images}


def test_where_all_is_sound_nothing_is_said(yard: Path, tmp_path: Path) -> None:
    for name in ("c.bmp", "cut.jpg"):
        (yard / name).unlink()
    heard = Heard()

    Frames.of(yard).tell(tmp_path, heard)
    Frames.of(None).tell(tmp_path, heard)

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


def test_a_folder_without_a_sound_frame_is_named(yard: Path) -> None:
    for name in ("a.jpg", "b.png"):
        (yard / name).unlink()

    with pytest.raises(ReleaseInvalid, match=r"gate\.frames: no image of .*yard decodes: c\.bmp"):
        Frames.of(yard)
    with pytest.raises(ReleaseInvalid, match=r"gate\.frames: .*gone holds no image"):
        Frames.of(yard / "gone")


def test_what_the_student_was_trained_on_is_no_frame_to_agree_on(tmp_path: Path) -> None:
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

    frames = Frames.of(yard, taught)

    assert [image.name for image in frames.images] == ["fresh.png"]
    assert {fault.file.name: fault.why for fault in frames.faults} == {
        "same.png": "was trained on, as 000000-same.webp",
        "almost.png": "is almost 000000-almost.webp, which was trained on",
    }
    (yard / "fresh.png").unlink()
    with pytest.raises(ReleaseInvalid, match=r"gate\.frames: .*the student is trained on them all"):
        Frames.of(yard, taught)
