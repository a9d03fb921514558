"""Tiny trainings in which every kind of teacher really teaches."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_detectors import detector

from distill_jobs.data import scenes
from distill_jobs.data.dataset import Dataset
from distill_jobs.data.staging import write_description
from distill_jobs.errors import DataSetInvalid, HeadsDiffer
from distill_jobs.progress import Silent
from distill_jobs.recipe.distillation import Distillation
from distill_jobs.recipe.networks import Student
from distill_jobs.recipe.teachers import FurtherTeacher, Voice
from distill_jobs.recipe.training import Training

pytestmark = pytest.mark.slow

SIDE = 64


class Notes(Silent):
    """Keeps what it is told."""

    def __init__(self):
        self.notes, self.stages = [], []

    def note(self, text):
        self.notes.append(text)

    def stage(self, name, total):
        self.stages.append((name, total))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Eight scenes to train on, four to validate on."""
    folder = tmp_path_factory.mktemp("scenes")
    for split, count in (("train", 8), ("val", 4)):
        assert sum(1 for _ in scenes.write_split(folder, split, count, SIDE, 0)) == count
    return write_description(folder, scenes.CLASS_NAMES, ("train", "val")).path


def write_checkpoint(path: Path, name="yolov8n", names=scenes.CLASS_NAMES) -> Path:
    model = detector(name, names=names)
    torch.save({"model": model, "epoch": -1, "train_args": {"task": "detect"}}, path)
    return path


def write_detections(path: Path, data: Path) -> Path:
    """Write the labels themselves as if a very sure detector had found them."""
    dataset = Dataset.load(data)
    lines = []
    for sample in dataset.split("train"):
        ids, boxes = sample.read_labels(SIDE, SIDE)
        lines.append(
            {
                "image": sample.image.name,
                "boxes_xyxy_px": boxes.tolist(),
                "scores": [0.9] * len(ids),
                "classes": [dataset.class_names[class_id] for class_id in ids],
            }
        )
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


def run(folder: Path, data: Path, lead, *, voice=None, further=(), reporter=None, **recipe):
    """Train a student for an epoch; returns its losses by name."""
    from distill_jobs.training.train import TrainRequest, train

    plain = {"epochs": 1, "batch": 4, "optimizer": "SGD", "lr0": 0.001, "warmup_epochs": 0}
    request = TrainRequest(
        title="distil student",
        network=Student(architecture="yolov8n", width=0.125),
        training=Training(**{**plain, **recipe}),
        data=Dataset.load(data),
        image_size=SIDE,
        seed=0,
        folder=folder / "training",
        log=folder / "run.log",
        output=folder / "student.pt",
        teacher=lead,
        distillation=None
        if lead is None
        else Distillation(schedule={"warmup_epochs": 0, "ramp_epochs": 0}),
        voice=voice or Voice(),
        further=tuple(further),
    )
    train(request, reporter or Notes())
    (row,) = csv.DictReader((folder / "training" / "curves.csv").read_text().splitlines())
    return {name: float(value) for name, value in row.items()}


def test_a_lead_and_stored_detections_teach_together(tmp_path, data):
    lead = write_checkpoint(tmp_path / "lead.pt")
    stored = write_detections(tmp_path / "found.jsonl", data)
    told = Notes()

    alone = run(tmp_path / "alone", data, lead)
    both = run(
        tmp_path / "both",
        data,
        lead,
        further=[FurtherTeacher(detections=stored, weight=3)],
        reporter=told,
    )

    assert (tmp_path / "both" / "student.pt").exists()
    assert ("teachers look at the images", 8) in told.stages
    assert both["train/class_distill"] > 0
    assert both["train/class_distill"] != pytest.approx(alone["train/class_distill"], rel=1e-3)


def test_boxes_alone_teach_too(tmp_path, data):
    lead = write_checkpoint(tmp_path / "lead.pt", "yolov8n-p6")
    told = Notes()

    losses = run(
        tmp_path / "run", data, lead, voice=Voice(min_score=0.01), reporter=told, mosaic=1.0
    )

    assert losses["train/class_distill"] > 0
    (note,) = told.notes[:1]
    assert note.startswith(
        "lead.pt gives finished boxes: its head works at strides [8, 16, 32, 64]"
    )


def test_answers_are_kept_for_the_next_training(tmp_path, data):
    lead = write_checkpoint(tmp_path / "lead.pt", "yolov8n-p6")
    run(tmp_path, data, lead)
    kept = sorted((tmp_path / "teacher-answers").rglob("*.npz"))
    times = [file.stat().st_mtime_ns for file in kept]
    (tmp_path / "training" / "resume.pt").unlink()

    run(tmp_path, data, lead)

    assert len(kept) == 8
    assert [file.stat().st_mtime_ns for file in kept] == times


def test_two_dense_teachers_and_a_class_map(tmp_path, data):
    lead = write_checkpoint(tmp_path / "lead.pt")
    names = (f"old {scenes.CLASS_NAMES[1]}", "something else", f"old {scenes.CLASS_NAMES[0]}")
    other = write_checkpoint(tmp_path / "other.pt", "yolov5n", names)
    classes = {f"old {name}": name for name in scenes.CLASS_NAMES[:2]}
    told = Notes()

    losses = run(
        tmp_path / "run",
        data,
        lead,
        further=[FurtherTeacher(weights=other, classes=classes, offload="layers")],
        reporter=told,
    )

    assert losses["train/class_distill"] > 0
    missing = len(scenes.CLASS_NAMES) - 2
    if missing:
        said = f"other.pt says nothing of {missing} of {len(scenes.CLASS_NAMES)} classes"
        assert any(note.startswith(said) for note in told.notes)


PLAIN = dict.fromkeys(("mosaic", "scale", "translate", "hsv_h", "hsv_s", "hsv_v"), 0.0)


def test_dense_answers_are_kept_under_letterbox_and_flip_and_change_nothing(tmp_path, data):
    lead = write_checkpoint(tmp_path / "lead.pt")

    computed = run(tmp_path / "a", data, lead, epochs=1, **PLAIN)
    kept = run(tmp_path / "b", data, lead, voice=Voice(cache=True), epochs=1, **PLAIN)
    again = run(tmp_path / "c", data, lead, voice=Voice(cache=True), epochs=1, **PLAIN)

    files = list((tmp_path / "b" / "teacher-answers").rglob("*.npz"))
    assert len(files) == 8  # each image once, mirrored or not
    for name in ("train/class_distill", "train/box_distill"):
        assert kept[name] == pytest.approx(computed[name], rel=2e-2)
        assert again[name] == pytest.approx(kept[name], rel=1e-3)


def test_a_cache_that_augmentation_would_defeat_becomes_boxes(tmp_path, data):
    lead = write_checkpoint(tmp_path / "lead.pt")
    told = Notes()

    run(tmp_path, data, lead, voice=Voice(cache=True), reporter=told)

    assert "`cache: true` keeps dense answers under letterbox" in told.notes[0]
    with pytest.raises(HeadsDiffer, match=r"was to give dense answers, but `cache: true` keeps"):
        run(tmp_path / "dense", data, lead, voice=Voice(cache=True, answers="dense"))


def test_a_dense_teacher_of_other_strides_is_refused(tmp_path, data):
    lead = write_checkpoint(tmp_path / "lead.pt", "yolov8n-p6")

    with pytest.raises(HeadsDiffer, match=r"lead\.pt was to give dense answers.*\[8, 16, 32, 64\]"):
        run(tmp_path, data, lead, voice=Voice(answers="dense"))


def test_a_strange_teacher_is_named(tmp_path, data):
    lead = write_checkpoint(tmp_path / "lead.pt", names=("x", "y"))

    with pytest.raises(HeadsDiffer, match=r"lead\.pt: the teacher knows 2 classes \(x, y\)"):
        run(tmp_path, data, lead)


def test_detections_of_some_images_only_are_refused(tmp_path, data):
    lead = write_checkpoint(tmp_path / "lead.pt")
    stored = write_detections(tmp_path / "found.jsonl", data)
    stored.write_text("\n".join(stored.read_text().splitlines()[:-2]))

    with pytest.raises(DataSetInvalid, match="no record of 2 of the 8 training images"):
        run(tmp_path, data, lead, further=[FurtherTeacher(detections=stored)])


@pytest.fixture
def half_labelled(tmp_path):
    """Four labelled scenes, and four that nobody labelled."""
    folder = tmp_path / "half"
    for split, count in (("train", 8), ("val", 4)):
        assert sum(1 for _ in scenes.write_split(folder, split, count, SIDE, 0)) == count
    images = sorted((folder / "images" / "train").iterdir())[4:]
    for image in images:
        (folder / "labels" / "train" / f"{image.stem}.txt").unlink()
    splits = ("train", "val")
    return write_description(folder, scenes.CLASS_NAMES, splits, unlabelled=images).path


def test_unlabelled_images_are_explained_by_the_teacher_alone(tmp_path, half_labelled):
    lead = write_checkpoint(tmp_path / "lead.pt")

    losses = run(tmp_path / "taught", half_labelled, lead, epochs=1, mosaic=1.0)

    assert losses["train/class_distill"] > 0
    assert np.isfinite(list(losses.values())).all()


def test_without_a_teacher_unlabelled_images_are_not_trained_on(tmp_path, half_labelled):
    told = Notes()

    run(tmp_path / "alone", half_labelled, None, reporter=told)

    assert ("distil student", 1) in told.stages  # one batch of four, not two
