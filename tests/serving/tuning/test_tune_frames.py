"""Which of a folder's images are sent."""

from pathlib import Path

import pytest

from serving.errors import ConfigurationError
from serving.tuning.frames import frames_of


def test_images_are_taken_in_order_and_other_files_are_not(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "c.webp", "notes.txt"):
        (tmp_path / name).write_bytes(name.encode())

    frames = frames_of(tmp_path)

    assert frames.names == ("a.png", "b.JPG", "c.webp")
    assert frames.images == (b"a.png", b"b.JPG", b"c.webp")
    assert not frames.are_golden
    assert frames.told == f"3 frames of {tmp_path}"


def test_of_many_some_are_taken_from_everywhere(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"{number:04}.jpg").touch()

    names = frames_of(tmp_path).names

    assert len(names) == 250
    assert (names[0], names[-1]) == ("0000.jpg", "0996.jpg")


def test_of_large_ones_fewer_are_taken_and_from_everywhere_too(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number:04}.jpg").write_bytes(bytes(1000))

    assert frames_of(tmp_path, most_bytes=10_000).names[::9] == ("0000.jpg", "0090.jpg")
    assert len(frames_of(tmp_path, most_bytes=500).names) == 1


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="absent cannot be read: No such file"):
        frames_of(tmp_path / "absent")
