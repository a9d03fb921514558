import pytest

from distill_jobs.environment import PROJECT_ROOT, data_root
from distill_jobs.errors import JobFileInvalid
from distill_jobs.job import Job


def test_reads_every_section_and_resolves_paths(write_job, tmp_path):
    path = write_job(
        ("architecture: yolov8n", "weights: here/t.pt"), ("  width: 0.125\n  t", "  t")
    )

    job = Job.load(path)

    assert job.teacher.weights == (tmp_path / "here/t.pt").resolve()
    assert job.student is not None
    assert job.student.architecture == "yolov5n.yaml"
    assert job.distillation is not None
    assert (job.distillation.losses.classes, job.distillation.losses.box) == (1.0, 2.0)
    assert job.training is not None


@pytest.mark.parametrize(
    ("epochs", "given", "without"),
    [
        *((2, "", 0), (3, "", 0), (4, "", 1), (11, "", 2), (20, "", 5), (39, "", 9)),
        *((40, "", 10), (300, "", 10), (40, ", close_mosaic: 6", 6), (20, ", close_mosaic: 0", 0)),
    ],
)
def test_at_most_a_quarter_of_the_epochs_does_without_mosaic(write_job, epochs, given, without):
    """Ultralytics' fixed 10 would switch it off from a short run's first epoch."""
    change = ("training: {epochs: 2", f"training: {{epochs: {epochs}{given}")

    training = Job.load(write_job(change)).training

    assert training is not None
    assert training.mosaic_free_epochs == without


@pytest.mark.parametrize(
    ("change", "line", "key", "says"),
    [
        (("seed: 3", "sede: 3"), 2, "sede", "unknown key"),
        (("image_size: 96", "image_size: 100"), 3, "image_size", "multiple of 32; it is 100"),
        (("epochs: 2", "epochs: 0"), 13, "training.epochs", "greater than or equal to 1; it is 0"),
        (("name: tiny", "name: Tiny Job"), 1, "name", "it is 'Tiny Job'"),
        (("licences: {data: CC0-1.0}", "licences: {}"), 16, "licences.data", "is missing"),
        (
            (
                "batch: 8, ",
                "batch: big, ",
            ),
            9,
            "teacher.train.batch",
            "it is 'big'",
        ),
        (("{train: 16, val", "{train: 16, trian: 1, val"), 5, "data.scenes.trian", "unknown key"),
        (("  architecture: yolov5n\n", ""), 10, "student", "exactly one of `weights:` and"),
        (("seed: 3", "seed: 3\nseed: 4"), 3, "seed", "given twice"),
        (("warmup_epochs: 1, r", "warmup_epochs: 2, r"), 1, "", "is 2 and must be below training."),
        (("warmup_epochs: 1, r", "warmup_epochs: 3, r"), 1, "", "warmup_epochs + ramp_epochs is 3"),
        (
            ("training: {epochs: 2,", "training: {epochs: 2, close_mosaic: 1,"),
            13,
            "training",
            "above a quarter of 2 epochs",
        ),
        (("name: tiny", "name: [tiny"), 2, "", "not YAML"),
        (("name: tiny", "name: ${NO_SUCH_VARIABLE}"), 1, "", "${NO_SUCH_VARIABLE} is not set"),
    ],
)
def test_a_fault_names_file_line_and_key(write_job, change, line, key, says):
    path = write_job(change)

    with pytest.raises(JobFileInvalid) as caught:
        Job.load(path)

    assert caught.value.file == path
    assert caught.value.line == line
    assert caught.value.key == key
    assert says in caught.value.message
    assert caught.value.message.startswith(f"{path}:{line}: ")


def test_a_missing_job_file_is_told_plainly(tmp_path):
    with pytest.raises(JobFileInvalid, match="no such job file"):
        Job.load(tmp_path / "absent.yaml")


def test_variables_are_filled_in(write_job, monkeypatch):
    monkeypatch.setenv("SIDE", "128")

    job = Job.load(
        write_job(("image_size: 96", "image_size: ${SIDE}"), ("seed: 3", "seed: ${S:-7}"))
    )

    assert (job.image_size, job.seed) == (128, 7)


def test_a_job_cannot_be_changed(write_job):
    job = Job.load(write_job())

    with pytest.raises(ValueError, match="frozen"):
        job.seed = 5


@pytest.mark.parametrize("name", ["jobs/bccd.yaml", "demo/job.yaml", "demo/teacher.yaml"])
def test_the_committed_jobs_are_valid(name):
    job = Job.load(PROJECT_ROOT / "distill_jobs" / name)

    assert job.licences.code == "AGPL-3.0-or-later"


def test_the_real_job_reads_the_real_data():
    job = Job.load(PROJECT_ROOT / "distill_jobs/jobs/bccd.yaml")

    assert job.data.path == (data_root() / "bccd/data.yaml").resolve()
    assert job.teacher.weights == (data_root() / "weights/yolov8s.pt").resolve()
