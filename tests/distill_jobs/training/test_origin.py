from types import SimpleNamespace

import pytest
import torch
from small_pairs import build

from distill_jobs.checkpoints import parameter_count
from distill_jobs.environment import offline
from distill_jobs.errors import JobError
from distill_jobs.job import Job
from distill_jobs.recipe.networks import Student


@pytest.mark.parametrize("name", ["yolov5s", "yolov5l", "yolov8n", "yolo11n.yaml"])
def test_yolo_names_are_built_without_a_download(name, tmp_path, monkeypatch):
    from ultralytics.nn.tasks import DetectionModel

    from distill_jobs.training.networks import find_origin

    monkeypatch.chdir(tmp_path)

    with torch.device("meta"):
        origin = find_origin(Student(architecture=name))

    assert origin.shape["backbone"]
    assert origin.shape["scale"] == name.removesuffix(".yaml")[-1]
    if name == "yolov5s":
        assert len(DetectionModel(origin.shape, nc=4, verbose=False).model) == 25
    assert list(tmp_path.iterdir()) == []


def test_width_replaces_the_architectures_own_scale():
    slim, own = build("yolov8n"), build("yolov8n", width=None)
    counts = SimpleNamespace(
        slim=sum(p.numel() for p in slim.parameters()), own=sum(p.numel() for p in own.parameters())
    )

    assert counts.slim * 3 < counts.own


def test_a_scale_in_the_job_file_gives_a_student_of_at_most_1_7m_parameters(write_job):
    """Of BCCD's three classes; yolov8n itself has 3.0M."""
    tiny = "student:\n  architecture: yolov5n\n  width: 0.125\n"
    small = "student:\n  architecture: yolov8n\n  width: 0.17\n"
    offline()
    from ultralytics.nn.tasks import DetectionModel

    from distill_jobs.training.networks import find_origin

    student = Job.load(write_job((tiny, small))).student
    assert student is not None

    count = parameter_count(DetectionModel(find_origin(student).shape, nc=3, verbose=False))

    assert 1_500_000 < count <= 1_700_000


def test_a_width_of_its_own_changes_no_blocks():
    slim, own = build("yolo11m"), build("yolo11m", width=None)

    kinds = [[type(one).__name__ for one in model.modules()] for model in (slim, own)]
    assert "C3k" in kinds[1]
    assert kinds[0] == kinds[1]


def test_an_unknown_architecture_is_told_plainly():
    from distill_jobs.training.networks import find_origin

    with pytest.raises(JobError, match=r"ultralytics has no 'yolov99z\.yaml'; it has for example"):
        find_origin(Student(architecture="yolov99z"))
