"""Small data sets to break on purpose."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from distill_jobs.data.intake import Intake, take_in
from distill_jobs.progress import Silent
from distill_jobs.recipe.data import Data


def taken_in(path: Path, **section: Any) -> Intake:
    """Take a data set in by a job's `data:` section."""
    return take_in(Data.model_validate({"path": str(path), **section}), Silent())


def texture(seed: int, *, side: int = 48) -> np.ndarray:
    """Return a picture unlike that of any other seed, uint8 [side, side, 3]."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def write_image(path: Path, image: np.ndarray) -> Path:
    """Write a picture, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


def write_pool(root: Path, names: list[str]) -> Path:
    """Write one split of labelled pictures under the given names; returns its data.yaml."""
    for seed, name in enumerate(names):
        image = write_image(root / "images" / name, texture(seed))
        labels = root / "labels" / Path(name).with_suffix(".txt")
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text("0 0.5 0.5 0.2 0.4\n")
        assert image.is_file()
    (root / "data.yaml").write_text(yaml.safe_dump({"train": "images", "names": ["cat"]}))
    return root / "data.yaml"


def describe(path: Path, **changes: Any) -> None:
    """Change keys of a data.yaml."""
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))
