import json

import pytest
import torch
from training_processes import (
    draw_data,
    run_script,
    train_in_a_process,
    write_found,
    write_teacher,
)

pytestmark = pytest.mark.slow

# Sets a training up, takes its share of one batch forward and back, and writes the gradients.
_GRADIENTS = """
import json, sys
from pathlib import Path
from distill_jobs.environment import offline
offline()
import torch
from ultralytics.utils.torch_utils import unwrap_model
from distill_jobs.data.dataset import Dataset
from distill_jobs.progress import Silent
from distill_jobs.recipe.distillation import Distillation
from distill_jobs.recipe.networks import Student
from distill_jobs.recipe.teachers import FurtherTeacher, Voice
from distill_jobs.training import ranks
from distill_jobs.training.loop import forward_and_back
from distill_jobs.training.networks import find_origin
from distill_jobs.training.teachers.faculty import Staff
from distill_jobs.training.lesson import Lesson
from distill_jobs.training.trainer import LessonTrainer

folder, data, teacher, student, images, found, losses = sys.argv[1:]
ranks.join()
schedule = {"warmup_epochs": 0, "ramp_epochs": 0}
distillation = Distillation(losses=json.loads(losses), schedule=schedule)
further = [FurtherTeacher(detections=Path(found), min_score=0.5)] if found else []
lesson = Lesson(
    title="train", data=Dataset.load(Path(data)),
    origin=find_origin(Student(weights=Path(student))), reporter=Silent(),
    staff=Staff.led_by(Path(teacher), Voice(), further, answers=Path(folder) / "answers"),
    distillation=distillation, freeze_norms=True,
)
plain = dict.fromkeys(("mosaic", "fliplr", "scale", "translate", "hsv_h", "hsv_s", "hsv_v"), 0.0)
trainer = LessonTrainer(lesson, {
    **plain, "model": "student.yaml", "data": data, "imgsz": 64, "epochs": 2, "batch": int(images),
    "nbs": int(images), "save_dir": folder, "device": "cpu", "workers": 0, "amp": False,
    "plots": False, "optimizer": "SGD", "cache": "ram", "verbose": False,
})
trainer._setup_train()
trainer._model_train()
with torch.no_grad():  # drawn from ultralytics' seed, which is another in each process
    for projector in unwrap_model(trainer.model).projectors.parameters():
        projector.copy_(torch.linspace(-1, 1, projector.numel()).view_as(projector))
unwrap_model(trainer.model).begin_epoch(0, 2)
dataset = trainer.train_loader.dataset
mine = range(ranks.rank(), int(images), ranks.count())
forward_and_back(trainer, dataset.collate_fn([dataset[i] for i in mine]), 0)
if ranks.leads():
    trained = unwrap_model(trainer.model).named_parameters()
    gradients = {name: one.grad for name, one in trained if one.grad is not None}
    torch.save(gradients, Path(folder) / "gradients.pt")
    wrapped = sorted(name for name in trainer.model.state_dict() if "teacher" in name)
    torch.save(len(wrapped), Path(folder) / "wrapped.pt")
del trainer, dataset
ranks.leave()
"""


def gradients_of_one_and_two(folder, data, student, *, found="", losses=None):
    """Return the gradients of one batch of eight images, in one process and shared out to two."""
    teacher = write_teacher(folder / "teacher.pt", seed=5)
    gradients = []
    for processes in (1, 2):
        own = folder / str(processes)
        arguments = (own, data, teacher, student, 8, found, json.dumps(losses or {}))
        run = run_script(_GRADIENTS, *map(str, arguments), processes=processes)
        assert run.returncode == 0, run.stderr
        gradients.append(torch.load(own / "gradients.pt", weights_only=True))
    assert torch.load(folder / "2/wrapped.pt", weights_only=True) == 0
    return gradients


def assert_same(one, two):
    assert one.keys() == two.keys()
    assert len(one) > 50
    for name in one:
        scale = one[name].abs().max().clamp(min=1e-6)
        torch.testing.assert_close(two[name] / scale, one[name] / scale, rtol=1e-4, atol=1e-6)


def test_two_processes_have_the_gradients_of_one_with_the_joint_batch(tmp_path):
    data = draw_data(tmp_path / "data", train=8)
    student = write_teacher(tmp_path / "student.pt", seed=6)

    assert_same(*gradients_of_one_and_two(tmp_path, data, student))


def test_they_have_where_one_has_few_labels_and_boxes_teach_a_head_of_two_branches(tmp_path):
    data = draw_data(tmp_path / "data", train=8, unlabelled=[3, 5, 7])  # of the second's four
    found = write_found(tmp_path / "found.jsonl", data)
    student = write_teacher(tmp_path / "student.pt", seed=6, name="yolo26n")

    assert_same(*gradients_of_one_and_two(tmp_path, data, student, found=found))


def test_they_have_of_distances_and_features_and_of_the_projectors(tmp_path):
    """Channel-wise and Pearson losses standardise each process's own batch: see `standardised`."""
    data = draw_data(tmp_path / "data", train=8)
    student = write_teacher(tmp_path / "student.pt", seed=6, width=0.125)
    losses = {"class": 1, "box": 2, "dfl": 0.5, "features": 6}

    one, two = gradients_of_one_and_two(tmp_path, data, student, losses=losses)

    assert sum("projectors" in name for name in one) >= 3
    assert_same(one, two)


def test_two_processes_with_a_teacher_are_resumed_in_epochs_that_do_without_it(tmp_path):
    """The last epoch has no teacher: nothing reaches the projectors."""
    data = draw_data(tmp_path / "data", train=16)
    teacher = write_teacher(tmp_path / "teacher.pt")
    recipe = {"epochs": 2, "batch": 8, "optimizer": "SGD", "warmup_epochs": 0, "lr0": 0.01}
    taught = {"teacher": teacher, "schedule": {"off_epochs": 1}, "processes": 2}

    died = train_in_a_process([tmp_path / "b"], data, recipe, kill_at=3, **taught)
    done = train_in_a_process([tmp_path / "a", tmp_path / "b"], data, recipe, **taught)

    assert died.returncode != 0
    assert done.returncode == 0, done.stderr
    assert "going on with epoch 2 of 2" in (tmp_path / "b/run.log").read_text()
    states = [torch.load(tmp_path / n / "training/resume.pt", weights_only=True) for n in "ab"]
    assert any("projectors" in name for name in states[0]["model"])
    assert all(one.equal(states[1]["model"][n]) for n, one in states[0]["model"].items())
    assert (tmp_path / "a/student.pt").read_bytes() == (tmp_path / "b/student.pt").read_bytes()


def test_two_processes_train_one_student_and_are_resumed_where_they_were(tmp_path):
    data = draw_data(tmp_path / "data", train=24)
    recipe = {"epochs": 2, "batch": 8, "optimizer": "SGD", "warmup_epochs": 0, "lr0": 0.01}
    recipe["accumulate"] = 2  # the last of an epoch's three batches waits for the next epoch

    died = train_in_a_process([tmp_path / "b"], data, recipe, kill_at=4, processes=2)
    done = train_in_a_process([tmp_path / "a", tmp_path / "b"], data, recipe, processes=2)

    assert died.returncode != 0
    assert done.returncode == 0, done.stderr
    assert "going on with epoch 2 of 2" in (tmp_path / "b/run.log").read_text()
    states = [torch.load(tmp_path / n / "training/resume.pt", weights_only=True) for n in "ab"]
    assert len(states[0]["processes"]) == 2
    different = [n for n, one in states[0]["model"].items() if not one.equal(states[1]["model"][n])]
    assert different == []
    assert (tmp_path / "a/student.pt").read_bytes() == (tmp_path / "b/student.pt").read_bytes()
