import math
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from training_processes import draw_data, write_teacher

from distill_jobs.data.dataset import Dataset
from distill_jobs.environment import PROJECT_ROOT, offline
from distill_jobs.errors import LossNotFinite, TrainingFailed
from distill_jobs.progress import Silent
from distill_jobs.recipe.distillation import Distillation
from distill_jobs.recipe.networks import Student
from distill_jobs.recipe.training import Training
from handlers.card import Input
from handlers.fitting import letterbox
from handlers.images import decode

pytestmark = pytest.mark.slow

TRAINED = PROJECT_ROOT / "distill_jobs" / "demo" / "teacher.pt"
RECIPE = {"epochs": 2, "batch": 4, "optimizer": "SGD", "lr0": 0.001, "warmup_epochs": 0}


def train_here(folder: Path, *, network=None, teacher=None, listeners=(), reporter=None, **recipe):
    offline()
    from distill_jobs.training.train import TrainRequest, train

    data = folder.parent / "data"
    if not data.exists():
        draw_data(data, train=8)
    request = TrainRequest(
        title="train student",
        network=network or Student(architecture="yolov8n", width=0.125),
        training=Training.model_validate({**RECIPE, **recipe}),
        data=Dataset.load(data / "data.yaml"),
        image_size=64,
        seed=0,
        folder=folder / "training",
        log=folder / "run.log",
        output=folder / "student.pt",
        teacher=teacher,
        distillation=Distillation(schedule={"warmup_epochs": 0, "ramp_epochs": 0})
        if teacher
        else None,
        listeners=listeners,
    )
    train(request, reporter or Silent())
    return torch.load(folder / "training/resume.pt", weights_only=True)


class Curious:
    """A listener that draws from every random source and looks at the frames."""

    def __init__(self):
        self.seen = []
        self.frames = []

    def epoch_ended(self, seen):
        random.random()  # noqa: S311  # an intruder on the training's own sources
        np.random.rand()  # noqa: NPY002  # likewise
        torch.rand(1)
        self.seen.append(seen)
        self.frames.append(seen.fixed_frames())


def test_a_listener_is_told_everything_and_changes_nothing(tmp_path):
    teacher = write_teacher(tmp_path / "teacher.pt")
    curious = Curious()

    heard = train_here(tmp_path / "heard", teacher=teacher, listeners=[curious])
    alone = train_here(tmp_path / "alone", teacher=teacher)

    assert all(torch.equal(heard["model"][n], value) for n, value in alone["model"].items())
    first, last = curious.seen
    assert (first.epoch, first.epochs, first.step, first.last) == (0, 2, 2, False)
    assert (last.epoch, last.step, last.last) == (1, 4, True)
    assert {"box_loss", "cls_loss", "dfl_loss", "class_distill", "box_distill"} <= set(first.losses)
    assert {"map50", "map50_95", "precision", "recall", "val/box_loss"} <= set(first.validation)
    assert first.alpha == 1.0
    assert len(first.learning_rates) == 3
    assert 0 < first.seconds < last.seconds
    frames = curious.frames[0]
    assert len({frame.name for frame in frames}) == len(frames) == 4
    for frame in frames:
        assert frame.image.shape == (64, 64, 3)
        assert frame.teacher is not None
        assert len(frame.student_scores) == len(frame.teacher_scores) == 64 + 16 + 4
        assert frame.student_scores.max() <= 1


def test_a_loss_that_is_not_finite_stops_the_training_and_keeps_the_batch(tmp_path):
    broken = write_teacher(tmp_path / "broken.pt")
    saved = torch.load(broken, weights_only=False)
    saved["model"].model[0].conv.weight.data[0, 0, 0, 0] = float("nan")
    torch.save(saved, broken)

    with pytest.raises(LossNotFinite, match=r"became NaN or infinite in epoch 1, batch 1 ") as told:
        train_here(tmp_path / "run", network=Student(weights=broken))

    assert "model.0.conv.weight" in told.value.message
    assert "Lower `lr0`" in told.value.message
    assert (told.value.epoch, told.value.batch) == (0, 0)
    kept = torch.load(told.value.file, weights_only=True)
    assert kept["inputs"]["img"].shape == (4, 3, 64, 64)
    assert len(kept["files"]) == 4
    assert len(kept["inputs"]["cls"]) == len(kept["inputs"]["bboxes"]) > 0
    assert kept["model"]["model.0.conv.weight"].isnan().any()
    assert any(math.isnan(value) for value in kept["losses"].values())
    assert not (tmp_path / "run/student.pt").exists()


def test_a_damaged_resume_file_is_refused(tmp_path):
    (tmp_path / "run/training").mkdir(parents=True)
    (tmp_path / "run/training/resume.pt").write_bytes(b"PK half a file")

    with pytest.raises(TrainingFailed, match=r"resume\.pt is damaged\. Remove the folder"):
        train_here(tmp_path / "run")


def test_accumulated_batches_update_the_weights_once(tmp_path):
    state = train_here(tmp_path / "run", batch=2, accumulate=4)

    assert state["ema_updates"] == 2  # 8 images an epoch, 2 epochs
    assert state["processes"][0]["gradients"] == {}


def test_frozen_batch_statistics_stay(tmp_path):
    weights = write_teacher(tmp_path / "weights.pt")
    before = torch.load(weights, weights_only=False)["model"].state_dict()

    state = train_here(
        tmp_path / "run", network=Student(weights=weights), freeze_batch_norm=True, epochs=1
    )

    statistics = [name for name in state["model"] if "running_" in name]
    assert len(statistics) > 50
    assert all(torch.equal(state["model"][name], before[name]) for name in statistics)
    assert not torch.equal(state["model"]["model.0.conv.weight"], before["model.0.conv.weight"])


def test_a_student_is_trained_in_bfloat16(tmp_path):
    exact = train_here(tmp_path / "exact", epochs=1)["losses"]
    rounded = train_here(tmp_path / "rounded", epochs=1, amp="bf16")["losses"]

    assert exact["cls_loss"] != rounded["cls_loss"]
    assert float(rounded["cls_loss"]) == pytest.approx(float(exact["cls_loss"]), rel=0.1)


class Noting(Silent):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def test_a_finished_training_is_not_trained_again_and_its_last_step_is(tmp_path):
    told, again = Noting(), Noting()
    train_here(tmp_path / "run", network=Student(weights=TRAINED), reporter=told)
    before = (tmp_path / "run/training/resume.pt").stat().st_mtime_ns
    finished = (tmp_path / "run/student.pt").read_bytes()
    # Killed while the batch norms were measured anew.
    (tmp_path / "run/student.pt").write_bytes(b"of before")

    train_here(tmp_path / "run", network=Student(weights=TRAINED), reporter=again)

    assert (tmp_path / "run/student.pt").read_bytes() == finished
    assert (tmp_path / "run/training/resume.pt").stat().st_mtime_ns == before
    assert "batch norms measured anew take mAP50-95 on the validation split from" in told.notes[-1]
    assert again.notes == told.notes[-1:]


def trainer_of(data, folder):
    from distill_jobs.training.lesson import Lesson
    from distill_jobs.training.networks import find_origin
    from distill_jobs.training.trainer import LessonTrainer

    origin = find_origin(Student(architecture="yolov8n", width=0.125))
    lesson = Lesson("train", data, origin, None, None, Silent())
    arguments = {"model": "student.yaml", "imgsz": 64, "batch": 2, "device": "cpu", "workers": 0}
    return LessonTrainer(
        lesson, {**arguments, "amp": False, "plots": False, "save_dir": str(folder)}
    )


def test_a_network_is_validated_on_the_pictures_that_a_release_is_measured_on(tmp_path):
    offline()
    import cv2
    from ultralytics.data import build_dataloader

    data = Dataset.load(draw_data(tmp_path / "data", train=2))
    for sample in data.split("val"):
        wide = cv2.resize(cv2.imread(str(sample.image)), (32, 20))
        assert cv2.imwrite(str(sample.image), wide)
    trainer = trainer_of(data, tmp_path / "training")
    trainer.setup_model()

    split = trainer.build_dataset(trainer.data["val"], "val", 4)

    (batch,) = build_dataloader(split, batch=4, workers=0, shuffle=False)
    expected = Input(64, 64, 114, True, 1 / 255, "", "")
    for file, seen in zip(batch["im_file"], batch["img"], strict=True):
        released = letterbox(decode(Path(file).read_bytes()), expected)[0]
        np.testing.assert_allclose(seen.numpy() / 255, released, atol=0.02)


def test_weights_that_are_no_numbers_are_not_kept(tmp_path):
    """A finite loss with an infinite gradient, in an epoch's last batch: no loss tells of it."""
    offline()
    data = Dataset.load(draw_data(tmp_path / "data", train=2))
    trainer = trainer_of(data, tmp_path / "training")

    def poison(poisoned):
        poisoned.student().model[0].conv.weight.data[0, 0, 0, 0] = float("nan")

    trainer.add_callback("on_train_batch_end", poison)
    with pytest.raises(LossNotFinite, match=r"by the end of epoch 1 \(model\.0\.conv\.weight\)"):
        trainer.train()

    kept = torch.load(tmp_path / "training/nonfinite-batch.pt", weights_only=True)
    assert kept["model"]["model.0.conv.weight"].isnan().any()
    assert not (tmp_path / "training/resume.pt").exists()
    assert not (tmp_path / "training/weights/last.pt").exists()


def test_ultralytics_reports_to_nobody(tmp_path):
    offline()
    from ultralytics.utils import ONLINE, SETTINGS
    from ultralytics.utils.events import events

    from distill_jobs.training.trackers import TRACKERS, no_trackers

    wished = dict(SETTINGS)
    with no_trackers():
        during = {name: SETTINGS[name] for name in TRACKERS}

    assert not any(during.values())
    assert dict(SETTINGS) == wished
    assert not ONLINE
    assert not events.enabled
    assert os.environ["YOLO_AUTOINSTALL"] == "false"


def test_half_a_checkpoint_of_a_killed_process_replaces_none(tmp_path):
    offline()
    trainer = trainer_of(Dataset.load(draw_data(tmp_path / "data", train=2)), tmp_path / "training")
    trainer._setup_train()
    trainer.best.write_bytes(b"the best so far")
    trainer.best.with_suffix(".writing").write_bytes(b"half")

    trainer.epoch, trainer.fitness, trainer.best_fitness = 1, 0.5, 0.6
    trainer.save_model()

    assert trainer.best.read_bytes() == b"the best so far"
    assert torch.load(trainer.last, weights_only=False)["epoch"] == 1
    assert not list(trainer.wdir.glob("*.writing"))


def test_a_damaged_checkpoint_is_told_and_not_raised_through(tmp_path):
    train_here(tmp_path / "run", epochs=1)
    (tmp_path / "run/training/weights/best.pt").write_bytes(b"half")

    with pytest.raises(TrainingFailed, match=r"best\.pt is damaged\. Remove the folder .*training"):
        train_here(tmp_path / "run", epochs=1)


class FullDisk(Silent):
    def advance(self, parts=1):
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_told_and_the_story_is_in_the_log(tmp_path):
    with pytest.raises(TrainingFailed, match=r"train student failed: .*No space left on device\. "):
        train_here(tmp_path / "run", reporter=FullDisk())

    log = (tmp_path / "run/run.log").read_text()
    assert "Traceback" in log
    assert "in advance" in log
