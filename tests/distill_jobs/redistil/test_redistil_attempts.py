"""An attempt from choosing to its end, with a runner that stands in for hours of training."""

import stat

import cv2
import numpy as np
import pytest
import yaml
from harvests import write_frame

from distill_jobs.data.dataset import Dataset
from distill_jobs.errors import DataSetInvalid, JobError, TrainingFailed
from distill_jobs.job import Job
from distill_jobs.progress import Silent
from distill_jobs.redistil.choice import Limits
from distill_jobs.redistil.extended_job import Origin
from distill_jobs.redistil.redistil import Wish, read_origin, redistil
from distill_jobs.redistil.versions import next_version


@pytest.fixture
def job_file(write_job, data_set):
    generator = np.random.default_rng(0)
    for image in (data_set.parent / "images").rglob("*.png"):
        patches = generator.integers(0, 255, (8, 8, 3), np.uint8)
        cv2.imwrite(str(image), cv2.resize(patches, (60, 40), interpolation=cv2.INTER_NEAREST))
    return write_job(
        ("scenes: {train: 16, val: 8, test: 8, size: 96}", f"path: {data_set}"),
        ("licences:", "archive: {teacher_name: big, student_name: small}\nlicences:"),
    )


@pytest.fixture
def harvest(tmp_path):
    generator = np.random.default_rng(1)
    for number in range(4):
        patches = generator.integers(0, 255, (8, 8, 3), np.uint8)
        image = tmp_path / f"{number}.png"
        cv2.imwrite(str(image), cv2.resize(patches, (60, 40), interpolation=cv2.INTER_NEAREST))
        labels = "1 0.5 0.5 0.2 0.2\n"
        write_frame(tmp_path / "harvest", image, ("cat", "dog"), labels=labels, f1=0.1 * number)
    return tmp_path / "harvest"


class Runner:
    """Notes what it was asked to run; may fail, or die as a killed process does."""

    def __init__(self, error=None):
        self.asked = []
        self.error = error

    def run(self, attempt):
        self.asked.append("run")
        attempt.run_dir.mkdir()
        (attempt.run_dir / "run.json").write_text("{}")
        if self.error is not None:
            raise self.error

    def resume(self, attempt):
        self.asked.append("resume")


def wish(job_file, harvest, tmp_path, **changes):
    return Wish(
        origin=Origin(Job.load(job_file)),
        harvest=harvest,
        root=tmp_path / "again",
        model_store=tmp_path / "store",
        **{"limits": Limits(max_share=0.9), "min_frames": 2, **changes},
    )


def do(wanted, runner):
    return redistil(wanted, runner.run, runner.resume, Silent())


def test_frames_train_unlabelled_and_what_is_measured_stays(job_file, harvest, tmp_path):
    runner = Runner()

    attempt = do(wish(job_file, harvest, tmp_path), runner)

    assert attempt is not None
    assert (attempt.state, runner.asked) == ("ended", ["run"])
    job = Job.load(attempt.job_file)
    before = Dataset.load(Job.load(job_file).data.path)
    after = Dataset.load(job.data.path)
    for split in ("train", "val", "test"):
        assert [one.image for one in after.splits[split]] == [
            one.image.resolve() for one in before.splits[split]
        ]
    (listing,) = job.data.unlabelled
    assert len(listing.read_text().splitlines()) == 4
    assert all(str(attempt.path) in line for line in listing.read_text().splitlines())
    assert job.version == "1.1"
    assert stat.S_IMODE(attempt.path.stat().st_mode) == 0o700


def test_a_reviewed_frame_trains_with_its_labels_and_a_rejected_one_not_at_all(
    job_file, harvest, tmp_path
):
    wanted = wish(job_file, harvest, tmp_path, review=True)
    waiting = do(wanted, Runner())
    assert waiting is not None
    assert waiting.state == "in review"
    head, first, second, *rest = waiting.review_list.read_text().splitlines()
    edited = [head, f"accept{first}", f"reject{second}", *rest]
    waiting.review_list.write_text("\n".join(edited))

    attempt = do(wanted, Runner())

    assert attempt == waiting
    job = Job.load(attempt.job_file)
    train = Dataset.load(job.data.path).splits["train"]
    (accepted,) = [one for one in train if "accepted" in one.image.parts]
    assert accepted.labels is not None
    assert accepted.labels.read_text().split() == ["1", "0.5", "0.5", "0.2", "0.2"]
    assert len(job.data.unlabelled[0].read_text().splitlines()) == 2
    page = (attempt.path / "review.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 4


def test_accepted_labels_take_the_ids_of_the_jobs_own_data_set(job_file, harvest, tmp_path):
    text = job_file.read_text()
    job_file.write_text(
        text.replace("data.yaml\n", "data.yaml\n  classes: {dog: dog, cat: cat}\n", 1)
    )
    wanted = wish(job_file, harvest, tmp_path, review=True)
    waiting = do(wanted, Runner())
    assert waiting is not None
    description = next((waiting.path / "frames").glob("*/data.yaml"))
    # The serving student knows the job's classes in the job's order: dog is 0 there, cat is 1.
    description.write_text(yaml.safe_dump({"names": ["dog", "cat"]}))
    head, first, *rest = waiting.review_list.read_text().splitlines()
    waiting.review_list.write_text("\n".join([head, f"accept{first}", *rest]))

    attempt = do(wanted, Runner())

    assert attempt is not None
    (labels,) = (attempt.path / "data/accepted/labels").iterdir()
    assert labels.read_text().split()[0] == "0"  # "cat" is 0 in the data set's own files


def test_a_verdict_that_is_none_names_its_line(job_file, harvest, tmp_path):
    wanted = wish(job_file, harvest, tmp_path, review=True)
    waiting = do(wanted, Runner())
    assert waiting is not None
    head, first, *rest = waiting.review_list.read_text().splitlines()
    waiting.review_list.write_text("\n".join([head, f"yes{first}", *rest]))

    with pytest.raises(DataSetInvalid, match=r"review\.csv:2: .*accept, reject or nothing"):
        do(wanted, Runner())

    assert waiting.state == "in review"


def test_a_killed_run_goes_on_and_a_refused_one_is_not_repeated(job_file, harvest, tmp_path):
    wanted = wish(job_file, harvest, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        do(wanted, Runner(KeyboardInterrupt()))

    resumed = Runner()
    first = do(wanted, resumed)
    (tmp_path / "again" / "20200101T000000Z").mkdir()  # an older one says nothing
    refused = Runner(TrainingFailed("too weak"))
    assert first is not None
    first.path.rename(tmp_path / "again" / "20250101T000000Z")
    with pytest.raises(JobError, match="too weak"):
        do(wanted, refused)

    assert resumed.asked == ["resume"]
    assert refused.asked == ["run"]
    assert "too weak" in max((tmp_path / "again").iterdir()).joinpath("ended.json").read_text()


def test_too_few_new_frames_leave_nothing_behind(job_file, harvest, tmp_path):
    runner = Runner()

    attempt = do(wish(job_file, harvest, tmp_path, min_frames=5), runner)

    assert attempt is None
    assert runner.asked == []
    assert list((tmp_path / "again").iterdir()) == []


def test_a_job_without_a_teacher_to_listen_to_is_refused(write_job):
    plain = write_job(
        ("distillation:\n  schedule: {warmup_epochs: 1, ramp_epochs: 0, decay: none}\n", "")
    )

    with pytest.raises(JobError, match="needs a job with `student:` and `distillation:`"):
        read_origin(plain)


def test_the_next_version_is_free_for_both_archives(job_file, tmp_path):
    job, store = Job.load(job_file), tmp_path / "store"
    store.mkdir()
    (store / "big-1.1.mar").write_bytes(b"")
    (store / "small-1.2.mar").write_bytes(b"")

    assert next_version(job, store) == "1.3"
    assert next_version(job.model_copy(update={"version": "2.3.4"}), store) == "2.4.0"
