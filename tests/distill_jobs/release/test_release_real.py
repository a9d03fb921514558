"""Real weights on real photographs."""

import os
from pathlib import Path

import numpy as np
import pytest

from distill_jobs.checkpoints import load_detector
from distill_jobs.data.dataset import Dataset
from distill_jobs.environment import data_root
from distill_jobs.progress import Silent
from distill_jobs.recipe.release import Licences
from distill_jobs.release.build import build_release
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.request import ReleaseRequest

COCO = data_root() / "coco256" / "data.yaml"
WEIGHTS = data_root() / "weights" / "yolov8n.pt"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not COCO.exists(), reason=f"no real data in {data_root()}"),
]


def test_yolov8n_archived_on_sixteen_photographs(tmp_path: Path, signing_key: Path) -> None:
    dataset = Dataset.load(COCO)

    result = build_release(
        ReleaseRequest(
            checkpoint=WEIGHTS,
            name="coco-n",
            version="1.0",
            role="student",
            image_size=640,
            model_store=tmp_path / "store",
            signing_key=signing_key,
            work_dir=tmp_path / "work",
            licences=Licences(data="CC-BY-4.0"),
            exports=("onnxruntime-fp32", "torchscript-fp32"),
            samples=dataset.split("val")[:16],
            data="coco256",
            split="val",
        ),
        Silent(),
    )

    assert {variant.name for variant in result.variants} == {"onnxruntime-fp32", "torchscript-fp32"}
    assert result.parameters == 3_157_200
    assert result.quality is not None
    for variant in result.variants:
        assert variant.quality is not None
        assert variant.matched_f1 == 1.0
        assert variant.quality.map50_95 == pytest.approx(result.quality.map50_95, abs=0.002)
    assert all(frame.detections for frame in result.card.golden_frames)


def test_the_dense_head_is_what_ultralytics_predicts_from() -> None:
    model = load_detector(WEIGHTS)
    photo = np.random.default_rng(0).random((1, 3, 320, 320), np.float32)

    import torch

    with torch.no_grad():
        expected = model(torch.from_numpy(photo))[0]
        got = DenseDetector(model, 320)(torch.from_numpy(photo))

    assert torch.allclose(got, expected, atol=2e-3)
    assert os.environ["YOLO_OFFLINE"] == "1"
