"""What ultralytics is told of a training, and what is refused before it is told."""

from pathlib import Path
from typing import Any

import pytest

from distill_jobs.data.dataset import Dataset
from distill_jobs.environment import offline
from distill_jobs.errors import TrainingFailed
from distill_jobs.recipe.networks import Student
from distill_jobs.recipe.training import Training
from distill_jobs.release.suppression import NMS_IOU


def arguments(**recipe: Any) -> dict[str, Any]:
    offline()
    from distill_jobs.training.arguments import trainer_arguments
    from distill_jobs.training.request import TrainRequest

    here = Path("run")
    return trainer_arguments(
        TrainRequest(
            title="train student",
            network=Student(architecture="yolov8n"),
            training=Training(epochs=2, **recipe),
            data=Dataset(Path("data.yaml"), ("a",), {}),
            image_size=64,
            seed=3,
            folder=here / "training",
            log=here / "run.log",
            output=here / "student.pt",
        )
    )


def test_a_batch_is_shared_out_evenly(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "3")

    assert arguments(batch=6)["batch"] == 6
    with pytest.raises(TrainingFailed, match="batch 8 cannot be shared out among 3 processes"):
        arguments(batch=8)


def test_validation_suppresses_as_a_release_does():
    assert arguments()["iou"] == NMS_IOU == 0.6


def test_several_processes_do_not_share_a_gpu(monkeypatch: pytest.MonkeyPatch):
    assert arguments(device="0")["device"] == "0"
    monkeypatch.setenv("WORLD_SIZE", "2")

    assert arguments(device="cpu")["device"] == "cpu"
    with pytest.raises(TrainingFailed, match="device: 0 would put all 2 processes on one GPU"):
        arguments(device="0")
