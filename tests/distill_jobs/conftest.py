"""Small data sets and job files for the tests of this island."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

TINY_JOB = """\
name: tiny
seed: 3
image_size: 96
data:
  scenes: {train: 16, val: 8, test: 8, size: 96}
teacher:
  architecture: yolov8n
  width: 0.125
  train: {epochs: 1, batch: 8, optimizer: AdamW, lr0: 0.002, warmup_epochs: 0}
student:
  architecture: yolov5n
  width: 0.125
training: {epochs: 2, batch: 8, optimizer: AdamW, lr0: 0.002, warmup_epochs: 0}
distillation:
  schedule: {warmup_epochs: 1, ramp_epochs: 0, decay: none}
licences: {data: CC0-1.0}
"""


@pytest.fixture
def write_job(tmp_path: Path) -> Callable[..., Path]:
    """Write a job file: the tiny one, with replacements."""

    def write(*changes: tuple[str, str], text: str = TINY_JOB) -> Path:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "job.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """A data set of three images a split and two classes; returns its data.yaml."""
    root = tmp_path / "set"
    for seed, split in enumerate(("train", "val", "test")):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
        for index in range(3):
            coarse = np.random.default_rng((seed, index)).integers(0, 256, (8, 12, 3), np.uint8)
            image = cv2.resize(coarse, (60, 40), interpolation=cv2.INTER_CUBIC)
            assert cv2.imwrite(str(root / "images" / split / f"{index}.png"), image)
            (root / "labels" / split / f"{index}.txt").write_text(f"{index % 2} 0.5 0.5 0.2 0.4\n")
    content = {
        "train": "images/train",
        "val": "images/val",
        "test": "images/test",
        "names": ["cat", "dog"],
    }
    (root / "data.yaml").write_text(yaml.safe_dump(content))
    return root / "data.yaml"
