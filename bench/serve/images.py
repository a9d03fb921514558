"""The JPEGs that are sent: a photo, the same at 1080p, frames of both videos; and other sizes."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

MIXED = "mixed"
SIZES = ("640x480", "1280x720", "1920x1080", "2560x1440", "3840x2160")
"""Width and height, pixels, of line 4."""
_JPEG_QUALITY = 90
_FRAMES_OF_A_VIDEO = 8
_VIDEOS = ("car-detection.mp4", "one-by-one-person-detection.mp4")


def jpegs(data: Path, kind: str) -> list[bytes]:
    """Return the images of a load, in the order in which they are sent again and again.

    Args:
        data: UNDERSTUDY_DATA.
        kind: "mixed" (photo, car frame, photo at 1080p, person frame, eight times over with other
            frames), or a size as in `SIZES`: the photo's middle at that size.
    """
    photo = (data / "photos" / "bus.jpg").read_bytes()
    if kind != MIXED:
        return [_at_size(photo, kind)]
    large = _at_size(photo, "1920x1080")
    cars, people = (video_frames(data, name, _FRAMES_OF_A_VIDEO) for name in _VIDEOS)
    return [
        image
        for car, person in zip(cars, people, strict=True)
        for image in (photo, car, large, person)
    ]


def video_frames(data: Path, name: str, count: int) -> list[bytes]:
    """Return frames of a video as JPEG, spread evenly over it.

    Raises:
        RuntimeError: The video does not open.
    """
    video = cv2.VideoCapture(str(data / "videos" / name))
    total = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    if not video.isOpened() or total < count:
        raise RuntimeError(f"{data / 'videos' / name}: no video of {count} frames or more")
    wanted = {round((place + 0.5) * total / count) for place in range(count)}
    frames = []
    for place in range(total):
        if place > max(wanted) or not video.grab():
            break
        if place in wanted:
            _, frame = video.retrieve()
            frames.append(_encoded(np.asarray(frame, np.uint8)))
    video.release()
    return frames


def replay(data: Path, seconds: float, fps: float) -> dict[str, list[bytes]]:
    """Return what cameras send: by video, the first frames at a camera's rate, as JPEG."""
    return {name: video_frames(data, name, round(seconds * fps)) for name in _VIDEOS}


def digest(images: Sequence[bytes]) -> str:
    """Return what tells two loads apart."""
    return hashlib.sha256(b"".join(hashlib.sha256(one).digest() for one in images)).hexdigest()[:16]


def _at_size(photo: bytes, size: str) -> bytes:
    """Cut the middle of the photo to a size's shape and scale it: what it shows stays in shape."""
    width, height = map(int, size.split("x"))
    image = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise RuntimeError("the photo does not decode")
    full_height, full_width = image.shape[:2]
    kept = min(full_height, round(full_width * height / width))
    top = (full_height - kept) // 2
    resized = cv2.resize(image[top : top + kept], (width, height), interpolation=cv2.INTER_CUBIC)
    return _encoded(np.asarray(resized, np.uint8))


def _encoded(image: NDArray[np.uint8]) -> bytes:
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise RuntimeError("OpenCV did not encode a frame")
    return encoded.tobytes()
