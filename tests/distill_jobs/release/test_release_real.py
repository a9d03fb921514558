"""Real weights on real photographs."""

import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from distill_jobs.checkpoints import class_names, load_detector
from distill_jobs.data.dataset import Dataset
from distill_jobs.environment import data_root
from distill_jobs.progress import Silent
from distill_jobs.recipe.release import Licences
from distill_jobs.release.agreement import Rule, compare
from distill_jobs.release.answers import scoring_card
from distill_jobs.release.build import build_release
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.request import ReleaseRequest
from distill_jobs.release.runtimes import TorchRuntime
from handlers.images import decode, decode_to_fit
from handlers.pipeline import Detections, Frame, Pipeline

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


@pytest.mark.parametrize("photo", ["bus.jpg", "zidane.jpg"])
def test_a_jpeg_decoded_at_a_reduced_scale_shows_the_same_things(photo: str) -> None:
    model = load_detector(WEIGHTS)
    card = scoring_card(class_names(model), 320)
    card = replace(card, input=replace(card.input, stride=32))
    pipeline = Pipeline(card, TorchRuntime(DenseDetector(model, 320)))
    jpeg = (data_root() / "photos" / photo).read_bytes()
    whole = decode(jpeg)
    _, png = cv2.imencode(".png", whole[..., ::-1])  # which is never reduced

    answers = [pipeline.detect([Frame(image, min_score=0.2)]) for image in (png.tobytes(), jpeg)]

    assert decode_to_fit(jpeg, card.input)[0].size <= whole.size / 4
    (wanted,), (got,) = answers
    assert isinstance(wanted, Detections)
    assert isinstance(got, Detections)
    thresholds = np.full(len(card.class_names), 0.35, np.float32)
    agreement = compare([wanted], [got], thresholds, Rule(0.85, 0.1, band=0.15))
    assert agreement.pairs >= 2
    assert (agreement.missed, agreement.invented) == (0, 0)


def test_the_dense_head_is_what_ultralytics_predicts_from() -> None:
    model = load_detector(WEIGHTS)
    photo = np.random.default_rng(0).random((1, 3, 320, 320), np.float32)

    import torch

    with torch.no_grad():
        expected = model(torch.from_numpy(photo))[0]
        got = DenseDetector(model, 320)(torch.from_numpy(photo))

    assert torch.allclose(got, expected, atol=2e-3)
    assert os.environ["YOLO_OFFLINE"] == "1"
