import pytest
import torch
from small_detectors import detector

from distill_jobs.errors import JobError
from distill_jobs.training.teachers.memory import measure_offload


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "teacher.pt"
    model = detector(width=0.25)
    torch.save({"model": model, "epoch": -1, "train_args": {"task": "detect"}}, path)
    return path


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA GPU")
def test_without_a_gpu_there_is_nothing_to_measure(checkpoint):
    with pytest.raises(JobError, match="no CUDA GPU"):
        measure_offload(checkpoint, batch=2, image_size=64)


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_teacher_at_home_leaves_the_gpus_memory_free(checkpoint):
    none, whole, layers = measure_offload(checkpoint, batch=2, image_size=64)

    assert [cost.offload for cost in (none, whole, layers)] == ["none", "whole", "layers"]
    assert whole.resting_bytes < none.resting_bytes / 2
    assert layers.resting_bytes < none.resting_bytes / 2
    assert layers.peak_bytes < whole.peak_bytes
