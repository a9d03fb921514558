import builtins
import shutil

import pytest
import torch

from distill_jobs.checkpoints import class_names, digest, load_detector, parameter_count
from distill_jobs.environment import PROJECT_ROOT, data_root
from distill_jobs.errors import CheckpointRefused, LegacyCheckpoint, WrongTask

WEIGHTS = data_root() / "weights"
needs_weights = pytest.mark.skipif(
    not WEIGHTS.exists(), reason="UNDERSTUDY_DATA is absent: the real weights cannot be read"
)


@needs_weights
def test_the_coco_student_loads_as_float32_in_eval_mode():
    model = load_detector(WEIGHTS / "yolov8n.pt")

    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert parameter_count(model) == 3_157_200
    assert class_names(model)[:3] == ("person", "bicycle", "car")


@needs_weights
def test_a_segmentation_checkpoint_is_refused_by_its_task():
    with pytest.raises(WrongTask, match="a segmentation checkpoint; only detection") as caught:
        load_detector(WEIGHTS / "yolov8n-seg.pt")

    assert caught.value.task == "segment"


@needs_weights
def test_a_legacy_yolov5_pickle_is_refused_without_looking_online(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a download would land here

    with pytest.raises(LegacyCheckpoint, match=r"cannot be loaded\. Use the `u` weights"):
        load_detector(WEIGHTS / "yolov5n.pt")

    assert list(tmp_path.iterdir()) == []


def test_the_demo_teacher_is_small_and_loads():
    path = PROJECT_ROOT / "distill_jobs/demo/teacher.pt"

    model = load_detector(path)

    assert path.stat().st_size <= 8_000_000
    assert class_names(model) == ("car", "person", "bicycle", "parcel")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("gone.pt", None, "no such file. Weights are never downloaded"),
        ("yolov8n.onnx", b"x", "name ends in .pt, this one in '.onnx'"),
        ("text.pt", b"hello", "not a readable torch checkpoint"),
        ("empty.pt", b"", "not a readable torch checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path, name, content, says):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(CheckpointRefused) as caught:
        load_detector(path)

    assert says in caught.value.message
    assert caught.value.file == path


class Malicious:
    """Would write a file when unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


def test_a_checkpoint_cannot_run_code_of_its_own(tmp_path):
    torch.save({"model": Malicious(tmp_path / "owned")}, tmp_path / "evil.pt")

    with pytest.raises(CheckpointRefused):
        load_detector(tmp_path / "evil.pt")

    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["eval", "exec", "__import__", "getattr"])
def test_what_python_has_built_in_is_not_unpickled_either(tmp_path, name):
    class Called:
        def __reduce__(self):
            return (getattr(builtins, name), (f"open({str(tmp_path / 'owned')!r}, 'w')",))

    torch.save({"model": Called()}, tmp_path / "evil.pt")

    with pytest.raises(CheckpointRefused, match="holds no model that ultralytics can load"):
        load_detector(tmp_path / "evil.pt")

    assert not (tmp_path / "owned").exists()


def test_a_malicious_file_beside_a_checkpoint_is_never_opened(tmp_path):
    for planted in ("last.pt", "best.pt", "model.pkl", "data.pkl", "a-first.pt"):
        torch.save({"model": Malicious(tmp_path / "owned")}, tmp_path / planted)
        (tmp_path / planted).chmod(0)
    teacher = tmp_path / "teacher.pt"
    shutil.copyfile(PROJECT_ROOT / "distill_jobs/demo/teacher.pt", teacher)

    assert class_names(load_detector(teacher)) == ("car", "person", "bicycle", "parcel")
    assert not (tmp_path / "owned").exists()


def test_a_truncated_checkpoint_is_refused(tmp_path):
    torch.save({"model": torch.zeros(1000)}, tmp_path / "whole.pt")
    data = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "half.pt").write_bytes(data[: len(data) // 2])

    with pytest.raises(CheckpointRefused, match="truncated, damaged or of another format"):
        load_detector(tmp_path / "half.pt")


def test_digest_is_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")

    assert digest(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")
