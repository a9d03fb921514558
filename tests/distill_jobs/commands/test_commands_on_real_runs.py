"""The commands on runs that really trained: one teacher, two tiny students, a sweep, a harvest."""

import json
import shutil

import pytest
from harvests import write_frame
from typer.testing import CliRunner

from distill_jobs.cli import job_app
from distill_jobs.data.dataset import Dataset
from distill_jobs.data.scenes import CLASS_NAMES, write_split
from distill_jobs.job import Job
from distill_jobs.progress import Silent
from distill_jobs.results import read_result
from distill_jobs.run import run_job
from distill_jobs.run_folder import RunFolder

pytestmark = pytest.mark.slow

JOB = """\
name: tiny
seed: 3
image_size: 96
data:
  scenes: {train: 16, val: 8, test: 8, size: 96}
teacher:
  architecture: yolov8n
  width: 0.125
  train: {epochs: 1, batch: 8, optimizer: AdamW, lr0: 0.002, warmup_epochs: 0}
student:
  architecture: yolov8n
  width: 0.0625
training: {epochs: 2, batch: 8, optimizer: AdamW, lr0: 0.002, warmup_epochs: 0}
distillation:
  schedule: {warmup_epochs: 1, ramp_epochs: 0, decay: none}
licences: {data: CC0-1.0}
sweep:
  startup_trials: 1
  space:
    distillation.losses.box: {low: 1.0, high: 4.0, log: true}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with `job.yaml` and `runs/one`, a finished run of it."""
    root = tmp_path_factory.mktemp("commands")
    (root / "job.yaml").write_text(JOB)
    run(root / "job.yaml", root / "runs/one")
    return root


def run(job, run_dir):
    root = run_dir.parent.parent
    run_job(
        job,
        run_dir,
        reporter=Silent(),
        model_store=root / "store",
        signing_key=root / "key.pem",
    )


@pytest.fixture
def cli(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")

    def call(*arguments):
        answer = CliRunner().invoke(job_app, [str(one) for one in arguments])
        assert answer.exit_code == 0, answer.output
        fits = [line for line in answer.output.splitlines() if "/" not in line]
        assert max(map(len, fits), default=0) <= 80
        return answer.output

    return call


def test_a_run_leaves_tensorboard_files_pictures_and_a_report(place):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    training = place / "runs/one/training/student"
    events = EventAccumulator(str(training / "tensorboard"), size_guidance={"images": 0})
    events.Reload()

    assert [one.step for one in events.Scalars("quality/map50_95")] == [1, 2]
    assert [one.value for one in events.Scalars("alpha")] == [0.0, 1.0]
    assert {"train/class_distill", "train/box_distill", "train/box_loss", "val/box_loss"} <= set(
        events.Tags()["scalars"]
    )
    assert {"scores/0/student", "scores/0/teacher", "scores/3/teacher"} <= set(
        events.Tags()["histograms"]
    )
    assert [one.step for one in events.Images("frames/0")] == [1, 2]
    assert len(list((training / "pictures").glob("*.jpg"))) == 4
    report = (place / "runs/one/report.html").read_text()
    assert report.count("data:image/jpeg;base64,") == 8  # four frames of student and of teacher
    assert "class distill" in report


def test_diagnose_measures_train_and_val_and_never_test(cli, place):
    output = cli("diagnose", place / "runs/one", "--images", "8")

    assert "teacher has something to teach" in output
    assert "teacher overfit" in output
    kept = {one.name.rpartition("-")[0] for one in (place / "runs/one/looks").iterdir()}
    assert kept == {"teacher-train-8", "teacher-val-8", "student-train-8", "student-val-8"}


def test_a_sweep_trains_one_teacher_and_stops_and_goes_on(cli, place):
    folder = place / "runs/sweep"
    job = place / "job.yaml"

    first = cli("sweep", job, "--trials", "1", "--sweep-dir", folder)
    teacher = (folder / "teacher.pt").stat().st_mtime_ns
    second = cli("sweep", job, "--trials", "2", "--sweep-dir", folder)

    assert "trial 1/1: map50_95" in first
    assert "2 trials on validation: 2 complete" in second
    assert (folder / "teacher.pt").stat().st_mtime_ns == teacher
    written = json.loads((folder / "sweep.json").read_text())
    assert [one["folder"] for one in written["trials"]] == ["0001", "0002"]
    assert not list(folder.rglob("release-*"))
    assert set(Dataset.load(folder / "trials/0001/data/data.yaml").splits) == {"train", "val"}
    losses = {one["values"]["distillation.losses.box"] for one in written["trials"]}
    assert len(losses) == 2
    assert Job.load(folder / "best.yaml").distillation is not None


def test_compare_tells_settings_figures_and_paired_differences(cli, place):
    changed = place / "other.yaml"
    changed.write_text(JOB.replace("training: {epochs: 2", "training: {epochs: 3"))
    shutil.copytree(place / "runs/one", place / "runs/two", symlinks=True)
    shutil.copy(changed, place / "runs/two/job.yaml")

    output = cli("compare", place / "runs/one", place / "runs/two", "--split", "test")

    assert "training.epochs" in output
    rows = [line.split() for line in output.splitlines()]
    (difference,) = [row for row in rows if "points" in row]
    assert difference[0] == "two"
    assert difference[2:4] == ["+0.00", "points"]
    assert difference[-2:] == ["no", "telling"]
    page = (place / "runs/one/compare.html").read_text()
    assert "train/box loss" in page


def test_list_shows_runs_and_sweeps_and_hides_trials(cli, place):
    shown = cli("list", place / "runs")
    everything = cli("list", place / "runs", "--trials")

    assert "done" in shown
    assert "sweep" in shown
    assert "0001" not in shown
    assert "0001" in everything


def test_redistil_takes_the_harvest_for_training_and_for_nothing_else(cli, place, tmp_path):
    list(write_split(tmp_path / "seen", "train", 6, 96, 77))
    harvest = tmp_path / "harvest"
    for image in sorted((tmp_path / "seen/images/train").iterdir()):
        write_frame(harvest, image, CLASS_NAMES, split="val")

    output = cli(
        "redistil",
        place / "runs/one",
        "--harvest",
        harvest,
        "--folder",
        tmp_path / "again",
        "--min-frames",
        "3",
        "--model-store",
        tmp_path / "store",
        "--signing-key",
        tmp_path / "key.pem",
    )

    assert "6 of 6 harvested frames are taken" in output
    (attempt,) = (tmp_path / "again").glob("*T*Z")
    result = read_result(RunFolder.open(attempt / "run"))
    before = read_result(RunFolder.open(place / "runs/one"))
    assert result.student is not None
    assert result.student.images == 8
    assert result.teacher.map50 == before.teacher.map50  # the same teacher on the same test images
    assert not [one for one in attempt.rglob("*") if one.stem.partition("-")[2].startswith("2026")]
    lock = json.loads((attempt / "run/data.lock").read_text())
    assert len(lock["splits"]["unlabelled"]) == 6
    assert lock["parent"]["added"] == 6
    for split in ("val", "test"):
        old = json.loads((place / "runs/one/data.lock").read_text())["splits"][split]
        assert sorted(lock["splits"][split].values()) == sorted(old.values())
