"""Harvested frames on disk: YOLO data sets that a distillation job takes as they are.

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

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import yaml

from serving.dataplane.harvest_frame import Disagreement
from serving.whole_file import write_whole

SPLITS = ("train", "val")
_FILE_MODE, _FOLDER_MODE = 0o600, 0o700
_TIME = "%Y%m%dT%H%M%S%fZ"
_FRAME = re.compile(r"(\d{8}T\d{12}Z)-[0-9a-f]{12}\.(?:jpg|png|webp)")
# What lies beside no image and is older than this was left by a process that was killed.
_ORPHANED_AFTER_S = 3600.0
_VAL_SHARE = 10
_HEADER = """\
# Frames on which two arms disagreed; the labels are a model's answers, not the truth: the
# teacher's where one of the two was a teacher, else those of the arm that answered the camera.
# answers/ holds what both said. They show people and number plates: see ../README.txt.
"""


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
            said = orjson.loads(self.answers.read_bytes())
        except (OSError, ValueError):
            return None
        return str(said.get("camera_id", "")) if isinstance(said, dict) else None

    def remove(self) -> None:
        """Remove its files; whoever else removes it at the same time is no trouble."""
        for file in (self.image, self.labels, self.answers):
            file.unlink(missing_ok=True)


class HarvestFolder:
    """Adds, lists and removes frames. Nothing here is remembered: the folder is the state.

    Args:
        path: Made with the first frame.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, frame: Disagreement) -> HarvestedFrame | None:
        """Write a frame; None where its image is of no kind that a job reads.

        Raises:
            OSError: It cannot be written; no image of it is there.
        """
        suffix = frame.image_suffix()
        if suffix is None:
            return None
        data_set = self._open_data_set(frame.route, frame.label_source.release.class_names)
        name = f"{frame.at.strftime(_TIME)}-{secrets.token_hex(6)}{suffix}"
        labels, answers = frame.label_rows().encode(), frame.answers_json()
        image = data_set / "images" / _split(data_set, frame) / name
        kept = HarvestedFrame(image, frame.at, len(frame.image) + len(labels) + len(answers))
        try:
            write_whole(kept.answers, answers, mode=_FILE_MODE)
            write_whole(kept.labels, labels, mode=_FILE_MODE)
            write_whole(kept.image, frame.image, mode=_FILE_MODE)
        except OSError:
            kept.remove()
            raise
        return kept

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

    def explain(self, text: str) -> None:
        """Write README.txt, making the folder where it is missing.

        Raises:
            OSError: The folder or the file cannot be written.
        """
        self.path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        write_whole(self.path / "README.txt", text, mode=_FILE_MODE)

    def _open_data_set(self, route: str, class_names: Sequence[str]) -> Path:
        names = list(class_names)
        digest = hashlib.sha256(orjson.dumps(names)).hexdigest()[:8]
        data_set = self.path / f"{route}-{digest}"
        for kind in ("images", "labels", "answers"):
            for split in SPLITS:
                _make(data_set, kind, split)
        if not (data_set / "data.yaml").exists():
            said = {split: f"images/{split}" for split in SPLITS} | {
                "names": dict(enumerate(names))
            }
            text = yaml.safe_dump(said, sort_keys=False, allow_unicode=True)
            write_whole(data_set / "data.yaml", _HEADER + text, mode=_FILE_MODE)
        return data_set


def _make(data_set: Path, kind: str, split: str) -> None:
    # One by one: `parents=True` would give those above the ordinary mode.
    for folder in (data_set.parent, data_set, data_set / kind, data_set / kind / split):
        folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)


def _split(data_set: Path, frame: Disagreement) -> str:
    """Return the split: a tenth is for validation, an hour of a camera whole on one side.

    Frames that follow each other look alike: apart, they would make the validation too easy. A job
    needs both splits, so an empty one gets the frame.
    """
    for split in SPLITS:
        if next(_images(data_set / "images" / split), None) is None:
            return split
    hour = f"{frame.camera_id} {frame.at:%Y%m%dT%H}"
    digest = hashlib.blake2b(hour.encode(), digest_size=8).digest()
    return "val" if int.from_bytes(digest, "big") % _VAL_SHARE == 0 else "train"


def _images(folder: Path) -> Iterator[os.DirEntry[str]]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if _FRAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                yield entry


def _frames(data_set: Path) -> Iterator[HarvestedFrame]:
    for split in SPLITS:
        for entry in _images(data_set / "images" / split):
            at = _time_of(entry.name)
            bare = HarvestedFrame(Path(entry.path), at, 0)
            size = sum(_size(file) for file in (bare.image, bare.labels, bare.answers))
            yield HarvestedFrame(bare.image, at, size)


def _time_of(name: str) -> datetime:
    return datetime.strptime(name.partition("-")[0], _TIME).replace(tzinfo=UTC)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # another gateway removed it
        return 0


def _remove_orphans(data_set: Path) -> None:
    oldest = time.time() - _ORPHANED_AFTER_S
    for split in SPLITS:
        whole = {Path(entry.name).stem for entry in _images(data_set / "images" / split)}
        for kind in ("images", "labels", "answers"):
            for file in (data_set / kind / split).glob("*"):
                if file.stem not in whole and file.lstat().st_mtime < oldest:
                    file.unlink(missing_ok=True)


def older_than(max_age: timedelta) -> datetime:
    """Return the moment before which a frame is too old, UTC."""
    return datetime.now(UTC) - max_age
