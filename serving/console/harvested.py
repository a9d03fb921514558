"""Frames of the harvest, to compare releases on: those on which a route's arms disagreed."""

from pathlib import Path

from serving.dataplane.harvest_folder import HarvestedFrame, HarvestFolder
from serving.errors import BadImage

MOST = 50


def newest(folder: Path | None) -> dict[str, str]:
    """Return the newest frames: what each is called for people, by its name.

    Reads the folder: call it in a thread.

    Args:
        folder: Of the harvest; None: nothing is harvested.
    """
    frames = [] if folder is None else HarvestFolder(folder).frames()[-MOST:]
    return {frame.image.name: _called(frame) for frame in reversed(frames)}


def image_of(folder: Path | None, name: str) -> bytes:
    """Return a harvested frame. Reads the folder: call it in a thread.

    Raises:
        BadImage: There is no frame of this name any more.
    """
    # From what is listed, so that a name leads nowhere else.
    for frame in [] if folder is None else HarvestFolder(folder).frames():
        if frame.image.name == name:
            try:
                return frame.image.read_bytes()
            except FileNotFoundError:
                break
    raise BadImage("image", "image: this harvested frame is gone; choose another")


def _called(frame: HarvestedFrame) -> str:
    camera = frame.camera_id() or "unnamed camera"
    return f"{camera}, {frame.at:%Y-%m-%d %H:%M:%S} UTC"
