"""Images for a tiny detector to find things in, and requests to release it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from tiny_networks import CLASSES, OPEN_GATE, SIDE, tiny_model

from distill_jobs.data.dataset import Dataset
from distill_jobs.recipe.release import Licences
from distill_jobs.release import sign
from distill_jobs.release.request import ReleaseRequest


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small only wait for each other's threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.pt"
    torch.save({"model": tiny_model(), "train_args": {"task": "detect"}}, path)
    return path


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """104 labelled pictures to measure on and 8 to calibrate with."""
    root = tmp_path_factory.mktemp("small")
    generator = np.random.default_rng(7)
    for split, count in (("train", 8), ("val", 104)):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
        for index in range(count):
            image, rows = _picture(generator)
            assert cv2.imwrite(str(root / "images" / split / f"{index:03d}.png"), image)
            (root / "labels" / split / f"{index:03d}.txt").write_text(rows)
    content = {"train": "images/train", "val": "images/val", "names": list(CLASSES)}
    (root / "data.yaml").write_text(yaml.safe_dump(content))
    return Dataset.load(root / "data.yaml")


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sign.ensure_key(tmp_path_factory.mktemp("keys") / "signing-key.pem")


@pytest.fixture
def request_for(
    tmp_path: Path, tiny_checkpoint: Path, small_set: Dataset, signing_key: Path
) -> Callable[..., ReleaseRequest]:
    """Return a function that makes a request, its fields replaced by what it is given."""

    def make(**changes: Any) -> ReleaseRequest:
        fields: dict[str, Any] = {
            "checkpoint": tiny_checkpoint,
            "name": "tiny",
            "version": "1.0",
            "role": "student",
            "image_size": SIDE,
            "model_store": tmp_path / "store",
            "signing_key": signing_key,
            "work_dir": tmp_path / "work",
            "licences": Licences(data="CC0-1.0"),
            "exports": ("onnxruntime-fp32",),
            "samples": small_set.split("val")[:6],
            "calibration": tuple(one.image for one in small_set.split("train")),
            "data": "small",
            "split": "val",
            "gate": OPEN_GATE,
        }
        return ReleaseRequest(**(fields | changes))

    return make


def _picture(generator: np.random.Generator) -> tuple[np.ndarray, str]:
    image = np.full((48, 72, 3), generator.integers(40, 200, 3), np.uint8)
    rows = ""
    for _ in range(3):
        x, y = (int(value) for value in generator.integers(10, 38, 2))
        radius = int(generator.integers(4, 10))
        colour = tuple(int(value) for value in generator.integers(0, 255, 3))
        cv2.circle(image, (x, y), radius, colour, cv2.FILLED)
        size = f"{2 * radius / 72:.6f} {2 * radius / 48:.6f}"
        rows += f"{generator.integers(0, 3)} {x / 72:.6f} {y / 48:.6f} {size}\n"
    return image, rows
