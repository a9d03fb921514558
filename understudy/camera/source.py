"""Frames of a video, an image or a folder, at a wanted rate."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from distill_jobs.data.video import frames_of

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_JPEG_QUALITY = 90


class SourceInvalid(Exception):
    """The source is missing or holds no picture."""


@dataclass(frozen=True)
class Shot:
    """One frame.

    Attributes:
        picture: uint8 [H, W, 3], BGR as OpenCV has it.
        encoded: The same as JPEG, or the file itself where it was an image.
    """

    picture: npt.NDArray[np.uint8]
    encoded: bytes


def shots(source: Path, fps: float) -> Iterator[Shot]:
    """Open a source and return its frames.

    Args:
        source: A video, of which the frames that a camera of `fps` frames a second would see are
            taken; an image; or a folder of images, sorted by name, all taken.
        fps: Frames a second.

    Returns:
        The frames; taking one raises SourceInvalid where OpenCV cannot read it.

    Raises:
        SourceInvalid: There is no such file, or it holds no picture.
    """
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.suffix.lower() in IMAGES)
        if not files:
            raise SourceInvalid(f"--source: {source} holds no {', '.join(sorted(IMAGES))}")
        return map(_image, files)
    if not source.is_file():
        raise SourceInvalid(f"--source: no such file or folder: {source}")
    if source.suffix.lower() in IMAGES:
        return iter([_image(source)])
    video = cv2.VideoCapture(str(source))
    if not video.isOpened():
        raise SourceInvalid(f"--source: {source} is neither an image nor a video OpenCV reads")
    return (_shot(picture) for _, picture in frames_of(video, fps))


def count(source: Path, fps: float) -> int | None:
    """Return about how many frames `shots` yields; None where that is unknown."""
    if source.is_dir():
        return sum(path.suffix.lower() in IMAGES for path in source.iterdir())
    if source.suffix.lower() in IMAGES:
        return 1
    video = cv2.VideoCapture(str(source))
    try:
        total, own_fps = video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)
    finally:
        video.release()
    return None if total <= 0 or own_fps <= 0 else max(1, round(total / max(1.0, own_fps / fps)))


def _image(path: Path) -> Shot:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SourceInvalid(f"--source: {path} is not an image that OpenCV reads")
    return Shot(np.asarray(picture, np.uint8), path.read_bytes())


def _shot(picture: npt.NDArray[np.uint8]) -> Shot:
    done, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise SourceInvalid("--source: OpenCV could not encode a frame as JPEG")
    return Shot(picture, encoded.tobytes())
