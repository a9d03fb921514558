"""Batch norms measured anew at a training's end, and kept where validation says so."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_processes import draw_data

from distill_jobs.checkpoints import load_detector
from distill_jobs.data.dataset import Dataset
from distill_jobs.environment import PROJECT_ROOT, offline

SIDE = 96
TRAINED = PROJECT_ROOT / "distill_jobs" / "demo" / "teacher.pt"
ARGUMENTS = {"imgsz": SIDE, "batch": 8, "seed": 0, "device": "cpu", "mosaic": 0.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    offline()
    return Dataset.load(draw_data(tmp_path_factory.mktemp("data"), train=24, side=SIDE))


def test_statistics_of_other_weights_are_replaced(data: Dataset, tmp_path: Path):
    from distill_jobs.training.settling import settle_if_better

    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002  # ultralytics draws from it
    files = [_stale(tmp_path / name) for name in ("a.pt", "b.pt")]
    found = [settle_if_better(file, data, ARGUMENTS) for file in files]

    assert found[0].kept
    assert found[0].settled > found[0].as_trained + 0.2
    assert found[1] == found[0]
    assert files[1].read_bytes() == files[0].read_bytes()
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002  # likewise
    assert after == before
    again = settle_if_better(files[0], data, ARGUMENTS)
    assert again.as_trained == pytest.approx(found[0].settled)  # what was told is what was kept


def test_statistics_that_validate_better_stay(data: Dataset, tmp_path: Path):
    from distill_jobs.training.settling import settle_if_better

    file = tmp_path / "good.pt"
    file.write_bytes(TRAINED.read_bytes())

    # Of nothing but black pictures.
    found = settle_if_better(file, data, {**ARGUMENTS, "hsv_v": 0.0, "translate": 1.0})

    assert not found.kept
    assert found.figures()["kept"] == "as_trained"
    assert file.read_bytes() == TRAINED.read_bytes()


def _stale(path: Path) -> Path:
    """Write a checkpoint whose statistics are of other weights than its own."""
    model: Any = load_detector(TRAINED)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var *= 2
    torch.save({"model": model.half(), "train_args": {"task": "detect"}}, path)
    return path
