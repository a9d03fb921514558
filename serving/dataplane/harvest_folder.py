"""Harvested frames on disk, as YOLO data sets: what is there, and taking it away.

    FOLDER/README.txt
    FOLDER/ROUTE-CLASSES/data.yaml
    FOLDER/ROUTE-CLASSES/images/{train,val}/FRAME.jpg
    FOLDER/ROUTE-CLASSES/labels/{train,val}/FRAME.txt
    FOLDER/ROUTE-CLASSES/answers/{train,val}/FRAME.json

CLASSES is the start of the class names' digest; FRAME is a time and a random number: no name holds
what a camera said. The image is written last and removed first, so a frame whose image is there is
whole, and a job, which looks for images, meets no half of one. Gateways that share the folder write
different frames and may remove the same one.
"""

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

SPLITS = ("train", "val")
KINDS = ("images", "labels", "answers")
TIME_FORMAT = "%Y%m%dT%H%M%S%fZ"
_FRAME = re.compile(r"\d{8}T\d{12}Z-[0-9a-f]{12}\.(?:jpg|png|webp)")
# Whatever a gateway wrote, half-written files too; anything else here is somebody else's.
_OURS = re.compile(r"\.?\d{8}T\d{12}Z-[0-9a-f]{12}\..+")
# What lies beside no image and is older than this was left by a process that was killed.
_ORPHANED_AFTER_S = 3600.0


@dataclass(frozen=True)
class HarvestedFrame:
    """One frame in the folder.

    Attributes:
        image: Its image.
        at: When both arms had answered, UTC.
        size_bytes: Of its files.
    """

    image: Path
    at: datetime
    size_bytes: int

    @property
    def data_set(self) -> Path:
        """The folder of its `data.yaml`."""
        return self.image.parents[2]

    @property
    def split(self) -> str:
        """The split it is in: "train" or "val"."""
        return self.image.parent.name

    @property
    def labels(self) -> Path:
        """Its label file."""
        return self.data_set / "labels" / self.split / f"{self.image.stem}.txt"

    @property
    def answers(self) -> Path:
        """Both arms' answers to it."""
        return self.data_set / "answers" / self.split / f"{self.image.stem}.json"

    def camera_id(self) -> str | None:
        """Return its camera, "" where it named none; None where its answers cannot be read."""
        try:
            said = json.loads(self.answers.read_bytes())
        except (OSError, ValueError):
            return None
        return str(said.get("camera_id", "")) if isinstance(said, dict) else None

    def remove(self) -> None:
        """Remove its files; whoever else removes it at the same time is no trouble."""
        for file in (self.image, self.labels, self.answers):
            file.unlink(missing_ok=True)


class HarvestFolder:
    """Lists and removes frames. Nothing here is remembered: the folder is the state.

    Args:
        path: Of the harvest; need not be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def frames(self) -> list[HarvestedFrame]:
        """Return every whole frame, the oldest first."""
        found = [frame for data_set in self.data_sets() for frame in _frames(data_set)]
        return sorted(found, key=lambda frame: (frame.at, frame.image.name))

    def data_sets(self) -> list[Path]:
        """Return the folders that hold a `data.yaml`."""
        if not self.path.is_dir():
            return []
        return sorted(one.parent for one in self.path.glob("*/data.yaml"))

    def trim(self, *, before: datetime, max_bytes: int) -> int:
        """Remove old frames, then the oldest until the rest fits, and what belongs to no frame.

        Args:
            before: Frames from before this moment go, UTC.
            max_bytes: What the frames may take altogether.

        Returns:
            What the frames take now, in bytes.
        """
        frames = self.frames()
        held = sum(frame.size_bytes for frame in frames)
        for frame in frames:
            if frame.at >= before and held <= max_bytes:
                break
            frame.remove()
            held -= frame.size_bytes
        for data_set in self.data_sets():
            _remove_orphans(data_set)
        return held


def images_in(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the images of whole frames in one split's folder."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if _FRAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                yield entry


def _frames(data_set: Path) -> Iterator[HarvestedFrame]:
    for split in SPLITS:
        for entry in images_in(data_set / "images" / split):
            at = _time_of(entry.name)
            bare = HarvestedFrame(Path(entry.path), at, 0)
            size = sum(_size(file) for file in (bare.image, bare.labels, bare.answers))
            yield HarvestedFrame(bare.image, at, size)


def _time_of(name: str) -> datetime:
    return datetime.strptime(name.partition("-")[0], TIME_FORMAT).replace(tzinfo=UTC)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # another gateway removed it
        return 0


def _remove_orphans(data_set: Path) -> None:
    oldest = time.time() - _ORPHANED_AFTER_S
    for split in SPLITS:
        whole = {Path(entry.name).stem for entry in images_in(data_set / "images" / split)}
        for kind in KINDS:
            for file in (data_set / kind / split).glob("*"):
                if file.stem not in whole and _OURS.fullmatch(file.name):
                    _remove_if_older(file, oldest)


def _remove_if_older(file: Path, oldest: float) -> None:
    with suppress(FileNotFoundError):  # another gateway removed it
        if file.lstat().st_mtime < oldest:
            file.unlink()


def older_than(max_age: timedelta) -> datetime:
    """Return the moment before which a frame is too old, UTC."""
    return datetime.now(UTC) - max_age
