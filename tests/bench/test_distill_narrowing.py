"""The small student is cut to its limit, and its batch norms know the images of its fold."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.distill import arms
from bench.distill.child import bccd_folds
from distill_jobs.checkpoints import load_detector
from distill_jobs.environment import data_root, offline

WEIGHTS = data_root() / "weights"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not WEIGHTS.exists(), reason="UNDERSTUDY_DATA is absent"),
]


def test_each_fold_measures_the_small_students_batch_norms_for_itself(tmp_path: Path) -> None:
    offline()
    import torch

    from bench.distill.narrowing import narrow_cell

    inputs = {"max_parameters": arms.MAX_SMALL_PARAMETERS, "image_side_px": 64}
    states = []
    for fold in bccd_folds()[:2]:
        here = tmp_path / str(fold.number)
        here.mkdir()
        tiny = replace(fold, train=fold.train[:4])
        figures = narrow_cell(inputs, tiny, WEIGHTS / "yolov8n.pt", here)
        states.append(load_detector(here / "model.pt").state_dict())
        assert figures["parameters"] <= arms.MAX_SMALL_PARAMETERS

    first, second = states
    same = {name for name in first if torch.equal(first[name], second[name])}
    assert all(name in same for name in first if name.endswith("conv.weight"))
    assert not any(name in same for name in first if name.endswith("running_mean"))
