"""Without a teacher both engines train alike: arms differ in their teachers alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.distill import arms
from bench.distill.cells import Figures, Inputs
from bench.distill.child import bccd_folds
from distill_jobs.checkpoints import load_detector
from distill_jobs.environment import data_root, offline

WEIGHTS = data_root() / "weights"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not WEIGHTS.exists(), reason="UNDERSTUDY_DATA is absent"),
]


def test_without_a_teacher_our_engine_gives_the_weights_of_ultralytics(tmp_path: Path) -> None:
    offline()
    import torch

    figures = [_train(engine, tmp_path / engine) for engine in ("ultralytics", "understudy")]

    theirs, ours = (
        load_detector(tmp_path / engine / "model.pt").state_dict()
        for engine in ("ultralytics", "understudy")
    )
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)
    assert figures[0]["curve_map50_95"] == figures[1]["curve_map50_95"]


def _train(engine: str, here: Path) -> Figures:
    """Train one epoch on eight images."""
    from bench.distill.training import train_cell

    here.mkdir()
    fold = bccd_folds()[0]
    tiny = replace(fold, train=fold.train[:8], inner=fold.inner[:2])
    inputs: Inputs = {
        "engine": engine,
        "seed": 0,
        "device": "cpu",
        "arguments": arms.arguments(arms.NONE_SPACE[0], epochs=1, patience=0),
        "distillation": None,
    }
    return train_cell(inputs, tiny, weights=WEIGHTS / "yolov8n.pt", teacher=None, here=here)
