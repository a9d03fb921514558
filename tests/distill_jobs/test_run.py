import csv
import json
import shutil
import socket

import pytest
import torch
from job_processes import can_cut_network, job_without_network, killed_at, without_network

from distill_jobs.checkpoints import load_detector, parameter_count
from distill_jobs.data.dataset import Dataset
from distill_jobs.data.scenes import CLASS_NAMES
from distill_jobs.environment import PROJECT_ROOT, data_root, offline
from distill_jobs.errors import (
    DataChanged,
    HeadsDiffer,
    JobError,
    RunFolderInvalid,
    UnsupportedModel,
    WrongTask,
)
from distill_jobs.progress import Silent
from distill_jobs.results import read_result
from distill_jobs.run import resume, run_job
from distill_jobs.run_folder import RunFolder

needs_data = pytest.mark.skipif(
    not data_root().exists(), reason="UNDERSTUDY_DATA is absent: there are no real weights"
)
needs_namespaces = pytest.mark.skipif(
    not can_cut_network(), reason="this machine allows no network namespaces (unshare -rn)"
)


def begin(job, run_dir):
    return run_job(
        job,
        run_dir,
        reporter=Silent(),
        model_store=run_dir.parent / "store",
        signing_key=run_dir.parent / "key.pem",
    )


def curves(folder: RunFolder, role: str) -> list[dict[str, str]]:
    text = (folder.training(role) / "curves.csv").read_text()
    return list(csv.DictReader(text.splitlines()))


@pytest.mark.slow
def test_a_run_killed_again_and_again_finishes_and_repeats_nothing(write_job, tmp_path):
    job, run_dir = write_job(), tmp_path / "run"
    folder = RunFolder(run_dir)

    # Sixteen train scenes in batches of eight: two batches an epoch.
    moments = [
        ("draw scenes", 20),
        ("train teacher", 1),  # before its first checkpoint
        ("distil student", 3),  # in its second epoch, after the first one's checkpoint
        ("student: held-out answers", 4),
    ]
    for stage, part in moments:
        died = killed_at(job, run_dir, stage, part)
        assert died.returncode == -9, died.stderr
    teacher_finished = folder.figures("teacher")
    student_finished = folder.figures("student")

    result = resume(run_dir, reporter=Silent())

    assert folder.figures("teacher") == teacher_finished
    assert folder.figures("student") == student_finished
    assert [row["epoch"] for row in curves(folder, "student")] == ["1", "2"]
    assert [row["teacher_weight"] for row in curves(folder, "student")] == ["0", "1"]
    assert float(curves(folder, "student")[1]["train/class_distill"]) > 0
    assert "going on with epoch 2 of 2" in folder.log.read_text()
    assert result.student is not None
    assert result.student.images == 8
    assert parameter_count(load_detector(result.student.checkpoint)) == result.student.parameters
    assert not list(run_dir.rglob("*.writing"))


@pytest.mark.slow
def test_the_students_checkpoint_is_a_plain_detector_without_local_paths(write_job, tmp_path):
    import torch
    from ultralytics.nn.tasks import DetectionModel

    result = begin(write_job(), tmp_path / "run")

    assert result.student is not None
    model = load_detector(result.student.checkpoint)
    assert type(model) is DetectionModel
    saved = torch.load(result.student.checkpoint, weights_only=False)
    assert saved["optimizer"] is None
    assert saved["ema"] is None
    assert str(tmp_path).encode() not in result.student.checkpoint.read_bytes()
    assert {p.dtype for p in saved["model"].parameters()} == {torch.float16}
    teacher, student = result.teacher.map50, result.student.map50
    assert teacher is not None
    assert result.retention_map50 == (student / teacher if teacher else None)
    with pytest.raises(RunFolderInvalid, match="holds a run already: go on with `understudy job"):
        begin(write_job(), tmp_path / "run")


@needs_namespaces
def test_the_network_is_really_cut():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        probe = f"import socket; socket.create_connection(('127.0.0.1', {port}), timeout=5)"
        socket.create_connection(("127.0.0.1", port), timeout=5).close()

        cut = without_network("-c", probe)

    assert cut.returncode == 1
    assert "Network is unreachable" in cut.stderr or "Connection refused" in cut.stderr


@pytest.mark.slow
@needs_data
@needs_namespaces
def test_the_real_job_runs_with_the_network_cut(tmp_path):
    """jobs/bccd.yaml itself on real weights, with one epoch of a few small images."""
    source = Dataset.load(data_root() / "bccd/data.yaml")
    for split, count in (("train", 6), ("val", 3), ("test", 3)):
        for kind in ("images", "labels"):
            (tmp_path / "few" / kind / split).mkdir(parents=True)
        for sample in source.split(split)[:count]:
            shutil.copy(sample.image, tmp_path / "few/images" / split)
            assert sample.labels is not None
            shutil.copy(sample.labels, tmp_path / "few/labels" / split)
    shutil.copy(source.path, tmp_path / "few/data.yaml")
    text = (PROJECT_ROOT / "distill_jobs/jobs/bccd.yaml").read_text()
    for old, new in (
        ("${UNDERSTUDY_DATA}/bccd/data.yaml", str(tmp_path / "few/data.yaml")),
        ("epochs: 10", "epochs: 1"),
        ("batch: 16", "batch: 3"),
        ("image_size: 320", "image_size: 96"),
        ("warmup_epochs: 1, ramp_epochs: 2", "warmup_epochs: 0, ramp_epochs: 0"),
    ):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "job.yaml").write_text(text.partition("archive:")[0])

    run = job_without_network("run", str(tmp_path / "job.yaml"), "--run-dir", str(tmp_path / "run"))

    assert run.returncode == 0, run.stderr
    result = read_result(RunFolder.open(tmp_path / "run"))
    assert result.student is not None
    # Three classes; ultralytics keeps the width of the pretrained head's hidden layers.
    assert (result.teacher.parameters, result.student.parameters) == (11_136_761, 3_138_489)
    rows = curves(RunFolder(tmp_path / "run"), "student")
    assert float(rows[0]["train/class_distill"]) > 0
    assert float(rows[0]["train/box_distill"]) > 0
    assert max(len(line) for line in run.stdout.splitlines() if "/" not in line) <= 80
    assert "student/teacher" in run.stdout


def test_changed_data_is_refused_on_resume(write_job, data_set, tmp_path):
    job = write_job(
        ("scenes: {train: 16, val: 8, test: 8, size: 96}", f"path: {data_set}"),
        ("architecture: yolov8n\n  width: 0.125\n", "weights: gone.pt\n"),
    )
    with pytest.raises(JobError, match=r"gone\.pt: no such file"):
        begin(job, tmp_path / "run")
    (data_set.parent / "labels/val/1.txt").write_text("")

    with pytest.raises(DataChanged, match=r"labels/val/1\.txt: changed since the lock"):
        resume(tmp_path / "run", reporter=Silent())


@needs_data
def test_a_teacher_of_the_wrong_task_leaves_no_checkpoint(write_job, data_set, tmp_path):
    job = write_job(
        ("scenes: {train: 16, val: 8, test: 8, size: 96}", f"path: {data_set}"),
        (
            "architecture: yolov8n\n  width: 0.125\n"
            "  train: {epochs: 1, batch: 8, optimizer: AdamW, lr0: 0.002, warmup_epochs: 0}",
            f"weights: {data_root()}/weights/yolov8n-seg.pt",
        ),
    )

    with pytest.raises(WrongTask, match="segmentation"):
        begin(job, tmp_path / "run")

    assert not list((tmp_path / "run").rglob("*.pt"))


@pytest.mark.slow
@needs_data
def test_a_lead_that_does_not_know_the_classes_is_refused(write_job, tmp_path):
    job = write_job(
        (
            "architecture: yolov8n\n  width: 0.125\n"
            "  train: {epochs: 1, batch: 8, optimizer: AdamW, lr0: 0.002, warmup_epochs: 0}",
            f"weights: {data_root()}/weights/yolov8n.pt",
        ),
    )

    with pytest.raises(HeadsDiffer, match=r"yolov8n\.pt: the lead .* does not know 'parcel'"):
        begin(job, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "remedy"),
    [
        (
            "architecture: yolov8n\n  width: 0.125\n"
            "  train: {epochs: 1, batch: 8, optimizer: AdamW, lr0: 0.002, warmup_epochs: 0}",
            "weights: rtdetr.pt",
            r"teacher: rtdetr\.pt: the model ends in RTDETRDecoder.* `further_teachers:`",
        ),
        (
            "architecture: yolov5n\n  width: 0.125",
            "weights: rtdetr.pt",
            r"student: rtdetr\.pt: the model ends in RTDETRDecoder",
        ),
        (
            "architecture: yolov5n\n  width: 0.125",
            "architecture: yolov8n-p6",
            r"student: yolov8n-p6\.yaml: image_size: 96 .* stride 64; take 128",
        ),
    ],
)
def test_what_could_be_trained_and_never_measured_is_refused_before_any_training(
    write_job, tmp_path, old, new, remedy
):
    offline()
    from ultralytics.nn.tasks import RTDETRDetectionModel

    names = dict(enumerate(CLASS_NAMES))
    detector = RTDETRDetectionModel("rtdetr-resnet50.yaml", nc=len(names), verbose=False)
    detector.names = names
    torch.save({"model": detector, "epoch": -1, "train_args": {}}, tmp_path / "rtdetr.pt")

    with pytest.raises(UnsupportedModel, match=remedy):
        begin(write_job((old, new)), tmp_path / "run")

    folder = RunFolder.open(tmp_path / "run")
    assert not folder.begun("teacher")


@pytest.mark.parametrize("kind", ["sweep", "trial"])
def test_a_sweep_and_its_trials_are_not_resumed_as_runs(write_job, tmp_path, kind):
    path = tmp_path / {"sweep": "s", "trial": "s/trials/0001"}[kind]
    RunFolder.create(path, write_job(), {"kind": kind})

    with pytest.raises(RunFolderInvalid, match=rf"is a {kind}.* --sweep-dir {tmp_path}/s`"):
        resume(path, reporter=Silent())

    assert not (path / "report.html").exists()


def test_an_archive_name_that_is_taken_is_refused_before_the_training(write_job, tmp_path):
    job = write_job(("licences:", "archive: {teacher_name: big, student_name: small}\nlicences:"))
    (tmp_path / "store").mkdir()
    (tmp_path / "store/small-1.0.mar").write_bytes(b"x")

    with pytest.raises(JobError, match=r"small-1\.0\.mar"):
        begin(job, tmp_path / "run")

    assert not (tmp_path / "run").exists()


def test_archives_go_to_the_model_store_of_the_working_directory(write_job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = write_job(("licences:", "archive: {teacher_name: big, student_name: small}\nlicences:"))
    (tmp_path / "model_store").mkdir()
    (tmp_path / "model_store/small-1.0.mar").write_bytes(b"x")

    with pytest.raises(JobError, match=r"model_store/small-1\.0\.mar exists"):
        run_job(job, tmp_path / "run", reporter=Silent(), signing_key=tmp_path / "key.pem")


def test_two_processes_cannot_work_on_one_run(write_job, tmp_path):
    folder = RunFolder.create(
        tmp_path / "run", write_job(), {"model_store": "store", "signing_key": "key.pem"}
    )

    with (
        folder.alone(),
        pytest.raises(RunFolderInvalid, match="another process is working on this run"),
    ):
        resume(tmp_path / "run", reporter=Silent())


def test_a_step_that_fails_leaves_no_marker(write_job, tmp_path):
    folder = RunFolder.create(tmp_path / "run", write_job(), {})

    with pytest.raises(ZeroDivisionError), folder.step("data"):
        _ = 1 / 0

    assert folder.figures("data") is None
    assert folder.begun("data")


def test_a_run_remembers_its_job_when_the_file_moves(write_job, tmp_path):
    path = write_job(("architecture: yolov5n\n  width: 0.125", "weights: s.pt"))
    folder = RunFolder.create(tmp_path / "elsewhere/run", path, {"model_store": "x"})
    path.unlink()

    job = folder.job()

    assert job.student is not None
    assert job.student.weights == tmp_path / "s.pt"
    assert json.loads((folder.path / "run.json").read_text())["model_store"] == "x"


@pytest.mark.parametrize("left", [[], ["job.yaml"], ["job.yaml", ".run.json.a1b2"]])
def test_a_run_whose_making_was_killed_is_made(write_job, tmp_path, left):
    job, folder = write_job(), tmp_path / "run"
    folder.mkdir()
    for name in left:
        (folder / name).write_bytes(job.read_bytes())

    assert RunFolder.create(folder, job, {}).job().name == "tiny"


@pytest.mark.parametrize("name", ["job.yaml", "notes.txt"])
def test_anybodys_own_file_is_not_written_over(write_job, tmp_path, name):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / name).write_text("name: other")

    with pytest.raises(RunFolderInvalid, match="holds something else already"):
        RunFolder.create(folder, write_job(), {})

    assert (folder / name).read_text() == "name: other"
