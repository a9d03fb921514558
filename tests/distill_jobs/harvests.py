"""Harvested frames as a gateway writes them: see serving/dataplane/harvest_writer.py."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml

_count = iter(range(10_000))


def write_frame(
    harvest: Path,
    image: Path,
    class_names: Sequence[str],
    *,
    labels: str = "0 0.500000 0.500000 0.200000 0.200000\n",
    camera: str = "gate",
    f1: float = 0.3,
    split: str = "train",
    route: str = "yard-0a1b2c3d",
) -> str:
    """Add a frame; returns its name as `review.csv` says it."""
    data_set = harvest / route
    number = next(_count)
    stem = f"20261121T{number:012d}Z-{number:012x}"
    for kind in ("images", "labels", "answers"):
        (data_set / kind / split).mkdir(parents=True, exist_ok=True)
    if not (data_set / "data.yaml").exists():
        said = {
            "train": "images/train",
            "val": "images/val",
            "names": dict(enumerate(class_names)),
        }
        (data_set / "data.yaml").write_text(yaml.safe_dump(said))
    (data_set / "labels" / split / f"{stem}.txt").write_text(labels)
    answers = {
        "at": "2026-11-21T12:00:00+00:00",
        "camera_id": camera,
        "labels_from": "primary",
        "agreement": {"f1": f1},
        "primary": {"role": "teacher"},
        "shadow": {"role": "student"},
    }
    (data_set / "answers" / split / f"{stem}.json").write_text(json.dumps(answers))
    shutil.copyfile(image, data_set / "images" / split / f"{stem}{image.suffix}")
    return f"{route}/{stem}{image.suffix}"
