"""What cameras get is as good as the checkpoint: one evaluator, both ways."""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from commands import Run

from distill_jobs.checkpoints import load_detector
from distill_jobs.data.dataset import Dataset, Sample
from distill_jobs.release.evaluate import Quality, score
from handlers.pipeline import Detections
from proto.wire.v1 import detection_pb2 as wire
from serving.client import DetectClient
from understudy.demo.stack import Stack, serving
from understudy.detections import detections

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

IMAGE_SIZE = 640
TOLERANCE = 0.005


async def test_served_coco_quality_equals_the_checkpoints(
    real_data: Path, understudy: Run, tmp_path: Path
) -> None:
    data = Dataset.load(real_data / "coco256" / "data.yaml")
    samples = data.split("val")
    checkpoint = real_data / "weights" / "yolov8n.pt"
    store = tmp_path / "model_store"
    build = ("--checkpoint", checkpoint, "--name", "coco-n", "--version", "1.0")
    few = tmp_path / "few"
    few.mkdir()
    for sample in samples[:4]:
        shutil.copy(sample.image, few)
    images = ("--images", few, "--exports", "onnxruntime-fp32")
    understudy("release", "build", *build, *images, "--model-store", store)
    trusted = ("--trusted-key", str(tmp_path / "home" / "signing-key.pub.pem"))

    async with serving(tmp_path / "state", store, tmp_path / "log", options=trusted) as stack:
        await stack.call("POST", "/releases", {"path": "coco-n-1.0.mar"})
        arm = {"name": "student", "release": "coco-n-1.0", "weight": 100}
        await stack.call("PUT", "/routes/default", {"arms": [arm]})
        served = await asyncio.to_thread(_quality, _gateway(stack), samples, data.class_names)

    expected = _quality(_ultralytics(checkpoint), samples, data.class_names)
    assert served.images == expected.images == 128
    assert served.map50_95 == pytest.approx(expected.map50_95, abs=TOLERANCE)
    assert expected.map50_95 == pytest.approx(0.43, abs=0.01)  # as published for these images


def _quality(
    detect: Callable[[bytes], Detections], samples: Sequence[Sample], names: Sequence[str]
) -> Quality:
    return score((detect(one.image.read_bytes()) for one in samples), samples, names)


def _gateway(stack: Stack) -> Callable[[bytes], Detections]:
    client = DetectClient(stack.addresses.grpc_address, stack.key)

    def detect(image: bytes) -> Detections:
        request = wire.DetectRequest(
            image=image, camera_id="scorer", min_score=0.001, max_detections=300
        )
        return detections(client.detect(request))

    return detect


def _ultralytics(checkpoint: Path) -> Callable[[bytes], Detections]:
    """Return the checkpoint in PyTorch, with ultralytics' own letterbox and suppression."""
    import torch
    from ultralytics.data.augment import LetterBox
    from ultralytics.utils.nms import non_max_suppression
    from ultralytics.utils.ops import scale_boxes

    model: Any = load_detector(checkpoint)

    def detect(image: bytes) -> Detections:
        picture = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
        fitted = LetterBox((IMAGE_SIZE, IMAGE_SIZE))(image=picture)
        tensor = torch.from_numpy(fitted[..., ::-1].transpose(2, 0, 1).copy()).float()[None] / 255
        with torch.inference_mode():
            (found,) = non_max_suppression(
                model(tensor), conf_thres=0.001, iou_thres=0.7, multi_label=True, max_det=300
            )
        height, width = picture.shape[:2]
        boxes = scale_boxes((IMAGE_SIZE, IMAGE_SIZE), found[:, :4].clone(), (height, width))
        return Detections(
            boxes_xyxy_px=boxes.numpy(),
            scores=found[:, 4].numpy(),
            class_ids=found[:, 5].numpy().astype(np.int64),
            width=width,
            height=height,
            decode_ms=0,
            preprocess_ms=0,
            inference_ms=0,
            postprocess_ms=0,
        )

    return detect
