"""Teachers as a job file lists them, and a job that they teach."""

import json

import pytest

from distill_jobs.data import scenes
from distill_jobs.errors import JobFileInvalid
from distill_jobs.job import Job
from distill_jobs.progress import Silent

ALSO = """\
further_teachers:
  - detections: found.jsonl
    weight: 0.5
    classes: {old: bird}
  - onnx: old.onnx
    layout: yolov5
student:
"""


def test_a_job_lists_further_teachers(write_job, tmp_path):
    job = Job.load(
        write_job(("student:\n", ALSO), ("  train: {e", "  offload: whole\n  train: {e"))
    )

    stored, old = job.further_teachers
    assert stored.file == tmp_path / "found.jsonl"
    assert (stored.weight, stored.classes) == (0.5, {"old": "bird"})
    assert (old.source, old.layout) == ("onnx", "yolov5")
    assert job.teacher.offload == "whole"


@pytest.mark.parametrize(
    ("change", "line", "key", "says"),
    [
        (("    layout: yolov5\n", ""), 14, "further_teachers.1", "needs `layout: yolov5`"),
        (("weight: 0.5", "weight: 0"), 12, "further_teachers.0.weight", "greater than 0"),
        (("onnx: old", "omnx: old"), 14, "further_teachers.1.omnx", "unknown key"),
        (("  train: {", "  classes: {a: b}\n  train: {"), 6, "teacher", "data set's own classes"),
    ],
)
def test_a_fault_of_a_teacher_names_its_line(write_job, change, line, key, says):
    path = write_job(("student:\n", ALSO), change)

    with pytest.raises(JobFileInvalid) as caught:
        Job.load(path)

    assert (caught.value.line, caught.value.key) == (line, key)
    assert says in str(caught.value)


def test_nobody_listens_without_distillation(write_job):
    path = write_job(
        ("student:\n", ALSO),
        ("distillation:\n  schedule: {warmup_epochs: 1, ramp_epochs: 0, decay: none}\n", ""),
    )

    with pytest.raises(JobFileInvalid, match="`further_teachers:` need `distillation:`"):
        Job.load(path)


@pytest.mark.slow
def test_a_job_is_taught_by_its_lead_and_by_stored_detections(write_job, tmp_path):
    from distill_jobs.run import prepare, train_student
    from distill_jobs.run_folder import RunFolder

    job = write_job(("student:\n", "further_teachers: [{detections: found.jsonl}]\nstudent:\n"))
    folder = RunFolder.create(tmp_path / "run", job, {"model_store": "", "signing_key": ""})
    prepare(folder, Silent())
    nothing = {"boxes_xyxy_px": [], "scores": [], "classes": []}
    bird = {"boxes_xyxy_px": [[10, 10, 50, 40]], "scores": [0.8], "classes": scenes.CLASS_NAMES[:1]}
    images = sorted((folder.data / "images" / "train").iterdir())
    records = [
        {"image": one.name, **(nothing if place else bird)} for place, one in enumerate(images)
    ]
    (tmp_path / "found.jsonl").write_text("\n".join(map(json.dumps, records)))

    train_student(folder, Silent())

    assert folder.checkpoint("student").exists()
    assert len(list((folder.path / "teacher-answers").rglob("*.npz"))) == len(images) == 16
