"""What an epoch is judged by, and when a training that gets no better ends."""

import csv

import cv2
import pytest
import torch
from training_processes import draw_data

from distill_jobs.checkpoints import load_detector
from distill_jobs.data.dataset import Dataset
from distill_jobs.environment import PROJECT_ROOT, offline
from distill_jobs.errors import TrainingFailed
from distill_jobs.progress import Silent
from distill_jobs.recipe.networks import Student
from distill_jobs.recipe.training import Training

pytestmark = pytest.mark.slow

TRAINED = PROJECT_ROOT / "distill_jobs" / "demo" / "teacher.pt"
SIDE = 96
# The weights stay what they were: an epoch is as good as the one before.
STILL = {
    "batch": 4,
    "optimizer": "SGD",
    "lr0": 1e-12,
    "warmup_epochs": 0,
    "freeze_batch_norm": True,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    found = Dataset.load(draw_data(tmp_path_factory.mktemp("data"), train=8, val=12, side=SIDE))
    for sample in found.split("val")[::2]:  # letterboxed: grey above and below
        wide = cv2.resize(cv2.imread(str(sample.image)), (SIDE, 60), interpolation=cv2.INTER_AREA)
        assert cv2.imwrite(str(sample.image), wide)
    return found


def train_on(data, folder, reporter=None, **recipe):
    offline()
    from distill_jobs.training.train import TrainRequest, train

    request = TrainRequest(
        title="train student",
        network=Student(weights=TRAINED),
        training=Training.model_validate({**STILL, **recipe}),
        data=data,
        image_size=SIDE,
        seed=0,
        folder=folder / "training",
        log=folder / "run.log",
        output=folder / "student.pt",
    )
    train(request, reporter or Silent())
    with (folder / "training" / "results.csv").open() as lines:
        return [float(row["metrics/mAP50-95(B)"]) for row in csv.DictReader(lines)]


def test_an_epoch_scores_what_a_release_of_it_would(data, tmp_path):
    """One yardstick: else a trial whose norms were settled would be judged by another."""
    from distill_jobs.training.validation_score import map50_95_of

    (score,) = train_on(data, tmp_path, epochs=1)

    model = load_detector(tmp_path / "student.pt")
    released = map50_95_of(model, data, image_size=SIDE, device=torch.device("cpu"))
    assert score > 0.3
    assert score == pytest.approx(released, abs=5e-4)


def test_a_training_that_gets_no_better_stops(data, tmp_path):
    scores = train_on(data, tmp_path, epochs=9, patience=2)

    assert len(scores) == 3
    assert scores[0] == max(scores) > 0


class Dying(Silent):
    """Ends the training in the second of its epochs of two batches."""

    left = 3

    def advance(self, parts=1):
        self.left -= parts
        if not self.left:
            raise OSError(28, "No space left on device")


def test_what_patience_has_waited_is_resumed(data, tmp_path):
    with pytest.raises(TrainingFailed):
        train_on(data, tmp_path, Dying(), epochs=9, patience=2)

    scores = train_on(data, tmp_path, epochs=9, patience=2)

    assert len(scores) == 3
