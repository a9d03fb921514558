"""Writes harvested frames as YOLO data sets that a distillation job takes as they are.

Where everything lies, and why a frame is whole or not there: see `harvest_folder`.
"""

import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path

import orjson
import yaml

from serving.dataplane.harvest_folder import KINDS, SPLITS, TIME_FORMAT, HarvestedFrame, images_in
from serving.dataplane.harvest_frame import Disagreement
from serving.whole_file import write_whole

_FILE_MODE, _FOLDER_MODE = 0o600, 0o700
_VAL_SHARE = 10
_HEADER = """\
# Frames on which two arms disagreed; the labels are a model's answers, not the truth: the
# teacher's where one of the two was a teacher, else those of the arm that answered the camera.
# answers/ holds what both said. They show people and number plates: see ../README.txt.
"""


def write_frame(harvest: Path, frame: Disagreement) -> HarvestedFrame | None:
    """Write a frame; None where its image is of no kind that a job reads.

    Args:
        harvest: The folder of all data sets.
        frame: What to keep.

    Raises:
        OSError: It cannot be written; no image of it is there.
    """
    suffix = frame.image_suffix()
    if suffix is None:
        return None
    data_set = _open_data_set(harvest, frame.route, frame.label_source.release.class_names)
    name = f"{frame.at.strftime(TIME_FORMAT)}-{secrets.token_hex(6)}{suffix}"
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


def write_readme(harvest: Path, text: str) -> None:
    """Write README.txt, making the folder where it is missing.

    Raises:
        OSError: The folder or the file cannot be written.
    """
    harvest.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    write_whole(harvest / "README.txt", text, mode=_FILE_MODE)


def _open_data_set(harvest: Path, route: str, class_names: Sequence[str]) -> Path:
    """Return the data set of a route and a class list, made where it is missing."""
    names = list(class_names)
    data_set = harvest / f"{route}-{hashlib.sha256(orjson.dumps(names)).hexdigest()[:8]}"
    for kind in KINDS:
        for split in SPLITS:
            # One by one: `parents=True` would give those above the ordinary mode.
            for folder in (harvest, data_set, data_set / kind, data_set / kind / split):
                folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    if not (data_set / "data.yaml").exists():
        said = {**{split: f"images/{split}" for split in SPLITS}, "names": dict(enumerate(names))}
        text = yaml.safe_dump(said, sort_keys=False, allow_unicode=True)
        write_whole(data_set / "data.yaml", _HEADER + text, mode=_FILE_MODE)
    return data_set


def _split(data_set: Path, frame: Disagreement) -> str:
    """Return the split: a tenth is for validation, an hour of a camera whole on one side.

    Frames that follow each other look alike: apart, they would make the validation too easy. A job
    needs both splits, so an empty one gets the frame.
    """
    for split in SPLITS:
        if next(images_in(data_set / "images" / split), None) is None:
            return split
    hour = f"{frame.camera_id} {frame.at:%Y%m%dT%H}"
    digest = hashlib.blake2b(hour.encode(), digest_size=8).digest()
    return "val" if int.from_bytes(digest, "big") % _VAL_SHARE == 0 else "train"
