"""Detections kept in a file."""

from pathlib import Path

import numpy as np
from test_release_evaluate import found

from distill_jobs.release.stored import read_detections, write_detections

IMAGES = (Path("a/1.jpg"), Path("a/2.jpg"), Path("a/3.jpg"))


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    answers = (
        found((1, 2, 30, 40, 0.9, 1), (5, 6, 7, 8, 0.2, 0)),
        found(),
        found((0, 0, 9, 9, 1, 1)),
    )

    write_detections(tmp_path / "held-out.npz", IMAGES, answers)
    again = read_detections(tmp_path / "held-out.npz", IMAGES)

    assert again is not None
    for kept, original in zip(again, answers, strict=True):
        assert (kept.boxes_xyxy_px == original.boxes_xyxy_px).all()
        assert (kept.scores == original.scores).all()
        assert (kept.class_ids == original.class_ids).all()
        assert (kept.width, kept.height) == (original.width, original.height)
        assert kept.scores.dtype == np.float32


def test_answers_to_other_images_are_none(tmp_path: Path) -> None:
    write_detections(tmp_path / "held-out.npz", IMAGES, (found(),) * 3)

    assert read_detections(tmp_path / "held-out.npz", IMAGES[:2]) is None
    assert read_detections(tmp_path / "held-out.npz", IMAGES[::-1]) is None
    assert read_detections(tmp_path / "none.npz", IMAGES) is None


def test_no_image_at_all_is_kept_too(tmp_path: Path) -> None:
    write_detections(tmp_path / "frames.npz", (), ())

    assert read_detections(tmp_path / "frames.npz", ()) == ()


def test_answers_to_another_picture_of_the_same_name_are_none(tmp_path: Path) -> None:
    image = tmp_path / "1.jpg"
    image.write_bytes(b"a picture")
    write_detections(tmp_path / "frames.npz", (image,), (found(),))
    assert read_detections(tmp_path / "frames.npz", (image,)) is not None

    image.write_bytes(b"another picture")

    assert read_detections(tmp_path / "frames.npz", (image,)) is None
