"""The frames of a labelling: found once, listed in a file, never all in memory."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from distill_jobs.data.dataset import IMAGE_SUFFIXES, images_in
from distill_jobs.data.video import frames_of
from distill_jobs.errors import DataSetInvalid
from distill_jobs.files import write_atomically
from distill_jobs.labelling.whole_file import whole_file

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov", ".m4v", ".webm"})
_JPEG_QUALITY = 95


def list_frames(places: Sequence[Path], listing: Path, video_frames: Path, fps: float) -> int:
    """Write the paths of all frames into a file, a line each, and return how many there are.

    Args:
        places: Folders, lists (.txt) and videos; a video's frames are written out first.
        listing: Gets the paths.
        video_frames: Folder for videos' frames.
        fps: Frames taken of a second of video.

    Raises:
        DataSetInvalid: A place holds no frame or cannot be read, or a path has a line break in it.
    """
    count = 0
    with whole_file(listing) as file:
        for place in places:
            found = 0
            for image in _images(place, video_frames, fps):
                if "\n" in str(image):
                    raise DataSetInvalid(image, "has a line break in its name: rename it")
                file.write(f"{image}\n".encode())
                found += 1
            if not found:
                wanted = ", ".join(sorted(IMAGE_SUFFIXES))
                raise DataSetInvalid(place, f"holds no image ({wanted})")
            count += found
    return count


def _images(place: Path, video_frames: Path, fps: float) -> Iterator[Path]:
    if place.is_dir():
        yield from _in_folder(place)
    elif place.suffix.lower() in VIDEO_SUFFIXES:
        yield from _of_video(place, video_frames / place.stem, fps)
    else:
        try:
            yield from (image.absolute() for image in images_in(place))
        except NotADirectoryError as error:
            raise DataSetInvalid(place, "is no folder, no list (.txt) and no video") from error


def _in_folder(folder: Path) -> Iterator[Path]:
    """Yield the images of a folder and of those in it, sorted, one folder's names at a time."""
    for path, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(path) / name


def _of_video(video: Path, folder: Path, fps: float) -> Iterator[Path]:
    """Write frames of a video as JPEG files, named by their number in it, and yield them."""
    reader = cv2.VideoCapture(str(video))
    if not reader.isOpened():
        raise DataSetInvalid(video, "is not a video that OpenCV reads")
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    for number, picture in frames_of(reader, fps):
        file = folder / f"{number:08}.jpg"
        write_atomically(file, cv2.imencode(".jpg", picture, quality)[1].tobytes())
        yield file
