import json

import cv2
import numpy as np
import pytest

from distill_jobs.checkpoints import digest
from distill_jobs.data.dataset import Dataset
from distill_jobs.data.lock_writer import write_lock
from distill_jobs.data.staging import write_description
from distill_jobs.errors import JobError
from distill_jobs.progress import Silent
from distill_jobs.release.stored import write_detections
from distill_jobs.run_folder import RunFolder
from distill_jobs.study.differences import differences
from handlers.frames import Detections

IMAGES = 24


@pytest.fixture
def make(write_job, tmp_path):
    """Make a finished run whose student finds the object in so many of 24 val images."""

    def make(name, finds, *, shade=0):
        folder = RunFolder.create(tmp_path / name, write_job(), {})
        for split in ("train", "val"):
            (folder.data / "images" / split).mkdir(parents=True)
            (folder.data / "labels" / split).mkdir(parents=True)
            for number in range(IMAGES):
                image = np.full((40, 40, 3), 3 * number + shade, np.uint8)
                cv2.imwrite(str(folder.data / f"images/{split}/{number:02d}.png"), image)
                label = folder.data / f"labels/{split}/{number:02d}.txt"
                label.write_text("0 0.5 0.5 0.5 0.5\n")
        dataset = write_description(folder.data, ("cat",), ("train", "val"))
        write_lock(folder.data_lock, dataset)
        folder.checkpoint("student").write_bytes(name.encode())
        keep(folder, dataset, finds)
        return name, folder

    return make


def keep(folder, dataset: Dataset, finds):
    """Keep answers as `look` does, so that no model need be asked."""
    samples = dataset.split("val")
    answers = []
    for number in range(IMAGES):
        hit = number < finds
        boxes = np.array([[10, 10, 30, 30]] if hit else np.zeros((0, 4)), np.float32)
        scores, ids = np.full(len(boxes), 0.9, np.float32), np.zeros(len(boxes), np.int64)
        answers.append(Detections(boxes, scores, ids, 40, 40, 0, 0, 0, 0))
    name = f"student-val-{IMAGES}-{digest(folder.checkpoint('student'))[:12]}.npz"
    write_detections(folder.path / "looks" / name, [one.image for one in samples], answers)


def test_a_student_that_finds_more_in_the_same_images_is_better(make):
    runs = [make("plain", 12), make("distilled", 20), make("unlucky", 4)]

    better, worse = differences(runs, "val", Silent())

    assert (better.run, better.verdict, better.images) == ("distilled", "better", IMAGES)
    # 20 of 24 found and nothing else: every precision is 1 up to a recall of 20/24.
    assert better.map50_95 == pytest.approx(20 / 24, abs=0.01)
    assert better.gain == pytest.approx(8 / 24, abs=0.01)
    assert 0 < better.low < better.gain < better.high
    assert better.better == 1.0
    assert (worse.run, worse.verdict) == ("unlucky", "worse")


def test_one_image_more_is_no_telling(make):
    (difference,) = differences([make("plain", 12), make("other", 13)], "val", Silent())

    assert difference.verdict == "no telling"
    assert difference.low == 0
    assert 0.5 < difference.better < 1


def test_runs_on_other_images_are_not_subtracted(make):
    runs = [make("plain", 12), make("elsewhere", 12, shade=1)]

    with pytest.raises(JobError, match="different val splits"):
        differences(runs, "val", Silent())


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"class_names": ["dog", "cat"]}, r"\(dog, cat; cat, dog\)"),
        ({"class_map": {"cat": "cat", "pup": None, "dog": "dog"}}, r"where pup is dropped; cat"),
    ],
)
def test_students_that_were_asked_for_other_classes_are_not_subtracted(make, changed, told):
    runs = [make("plain", 12), make("mapped", 12)]
    for (_, folder), more in zip(runs, ({}, changed), strict=True):
        lock = json.loads(folder.data_lock.read_text())
        folder.data_lock.write_text(json.dumps({**lock, "class_names": ["cat", "dog"], **more}))

    with pytest.raises(JobError, match=f"give the same images different classes .*{told}"):
        differences(runs, "val", Silent())


def test_a_split_that_the_run_has_not_is_named(make):
    with pytest.raises(JobError, match=r"its data\.lock has no test split"):
        differences([make("plain", 12), make("other", 12)], "test", Silent())
