"""A job whose student is cut from trained weights and then distilled."""

import cv2
import numpy as np
import pytest
import torch

from distill_jobs.checkpoints import load_detector, parameter_count
from distill_jobs.environment import PROJECT_ROOT
from distill_jobs.errors import JobFileInvalid
from distill_jobs.job import Job
from distill_jobs.progress import Silent
from distill_jobs.pruning import cut_student, settling_batches
from distill_jobs.run import run_job
from distill_jobs.run_folder import RunFolder

TRAINED = PROJECT_ROOT / "distill_jobs" / "demo" / "teacher.pt"
FROM_NOTHING = "student:\n  architecture: yolov5n\n  width: 0.125\n"


def student(prune: str) -> tuple[str, str]:
    return FROM_NOTHING, f"student:\n  weights: {TRAINED}\n  prune: {prune}\n"


@pytest.mark.slow
def test_a_student_cut_to_a_latency_is_distilled_and_its_width_is_kept(write_job, tmp_path):
    own_teacher = (
        "teacher:\n  architecture: yolov8n\n  width: 0.125\n"
        "  train: {epochs: 1, batch: 8, optimizer: AdamW, lr0: 0.002, warmup_epochs: 0}\n"
    )
    job = write_job(
        student("{latency_ratio: 0.8}"), (own_teacher, f"teacher:\n  weights: {TRAINED}\n")
    )

    result = run_job(
        job,
        tmp_path / "run",
        reporter=Silent(),
        model_store=tmp_path / "store",
        signing_key=tmp_path / "key.pem",
    )

    folder = RunFolder(tmp_path / "run")
    cut = folder.figures("prune")
    assert cut is not None
    assert cut["keep"] < 1
    assert cut["latency_ratio"] <= 0.8
    assert result.student is not None
    assert result.student.parameters == cut["parameters"] < result.teacher.parameters
    norms = folder.figures("student")["batch_norms"]
    better = norms["settled"] > norms["as_trained"]
    assert norms["kept"] == ("settled" if better else "as_trained")
    trained, before = (
        load_detector(path) for path in (result.student.checkpoint, folder.path / "student-cut.pt")
    )
    assert parameter_count(trained) == parameter_count(before) == cut["parameters"]
    # A width measured anew could differ, and a half-trained checkpoint would not fit it.
    (folder.path / "student-cut.pt").write_bytes(b"")
    again = cut_student(folder, folder.job(), folder.job().student, Silent())
    assert again.weights == folder.path / "student-cut.pt"


def test_batch_norms_are_measured_on_pictures_from_the_whole_split(tmp_path):
    names = [tmp_path / f"{index:03}.png" for index in range(256)]
    for index, name in enumerate(names[::2]):  # the others are not there to be read
        assert cv2.imwrite(str(name), np.full((8, 8, 3), index, np.uint8))

    seen = torch.cat(list(settling_batches(names, 32)))

    assert seen.shape == (128, 3, 32, 32)
    assert [round(255 * float(one[0, 16, 16])) for one in seen] == list(range(128))


def test_pruning_needs_trained_weights(write_job):
    job = write_job((FROM_NOTHING, f"{FROM_NOTHING}  prune: {{keep: 0.5}}\n"))

    with pytest.raises(JobFileInvalid, match="`prune:` chooses among trained channels"):
        Job.load(job)


def test_a_job_may_ask_for_fine_tuned_int8_and_for_unmeasured_exports(write_job):
    text = "qat: {epochs: 2, lr0: 0.001}\nkeep_unmeasured: true\nexports: [onnxruntime-fp16]\n"
    job = Job.load(write_job(("licences:", f"{text}licences:")))

    assert job.qat is not None
    assert (job.qat.epochs, job.qat.teacher, job.qat.float_layers) == (2, 0.5, 2)
    assert job.keep_unmeasured
    assert job.rectangular
