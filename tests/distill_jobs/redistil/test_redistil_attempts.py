"""An attempt from choosing to its end, with a runner that stands in for hours of training."""

import json
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from harvests import write_frame
from redistillations import Heard, Runner, do, random_picture, trained_on, wish

from distill_jobs.data.dataset import Dataset
from distill_jobs.errors import (
    DataSetInvalid,
    GateRefused,
    JobError,
    RunFolderInvalid,
    TrainingFailed,
)
from distill_jobs.job import Job
from distill_jobs.progress import Silent
from distill_jobs.redistil.attempt import Attempt
from distill_jobs.redistil.choice import Limits
from distill_jobs.redistil.origin import Origin, read_origin
from distill_jobs.redistil.versions import newest_student, next_version
from distill_jobs.run_folder import RunFolder
from distill_jobs.taking_in import data_step


def killed(wanted):
    """Begin an attempt whose run dies."""
    with pytest.raises(KeyboardInterrupt):
        do(wanted, Runner(KeyboardInterrupt()))
    attempt = Attempt.latest(wanted.root)
    assert attempt is not None
    return attempt


def test_frames_train_unlabelled_and_what_is_measured_stays(job_file, harvest, tmp_path):
    attempt = killed(wish(job_file, harvest, tmp_path))

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


def test_a_killed_run_goes_on_and_one_that_the_gate_refused_is_not_repeated(
    job_file, harvest, tmp_path
):
    wanted = wish(job_file, harvest, tmp_path)
    killed(wanted)
    again, once_more, heard = Runner(GateRefused(())), Runner(), Heard()

    with pytest.raises(GateRefused):
        do(wanted, again)
    attempt = do(wanted, once_more, heard)

    assert again.asked == ["resume"]
    assert (attempt, once_more.asked) == (None, [])
    assert "0 of them are new, fewer than --min-frames 2: nothing to do" in heard.notes
    (ended,) = wanted.root.glob("*/ended.json")
    assert "the gate refuses this student" in ended.read_text()


def test_new_frames_begin_another_attempt_and_so_does_the_wish_for_none(
    job_file, harvest, tmp_path
):
    wanted = wish(job_file, harvest, tmp_path)
    first = do(wanted)
    generator = np.random.default_rng(2)
    for number in range(2):
        image = random_picture(tmp_path / f"new{number}.png", generator)
        write_frame(harvest, image, ("cat", "dog"))

    second = killed(wanted)
    assert second != first
    assert len(trained_on(second)[1]) == 6  # those of before, which are still there, as well
    do(wanted)
    third = do(wish(job_file, harvest, tmp_path, min_frames=0))

    assert third is not None
    assert third.state == "ended"


@pytest.mark.parametrize(
    "error",
    [
        RunFolderInvalid(Path("run"), "another process is working on this run"),
        TrainingFailed("distil student failed: no space left on device"),
    ],
)
def test_what_is_no_refusal_ends_no_attempt(job_file, harvest, tmp_path, error):
    wanted, heard, runner = wish(job_file, harvest, tmp_path), Heard(), Runner()
    attempt = killed(wanted)

    with pytest.raises(type(error)):
        do(wanted, Runner(error), heard)

    assert attempt.state == "running"
    assert "can go on: give the same command again" in heard.notes[-1]
    assert do(wanted, runner) == attempt
    assert runner.asked == ["resume"]


def test_a_wrong_key_before_the_run_began_costs_nothing(job_file, harvest, tmp_path):
    class Refused(Runner):
        def run(self, attempt):
            raise JobError("signing key: is no PEM")

    wanted, runner = wish(job_file, harvest, tmp_path), Runner()
    with pytest.raises(JobError, match="is no PEM"):
        do(wanted, Refused())

    attempt = do(wanted, runner)

    assert runner.asked == ["run"]
    assert list(wanted.root.glob("*T*Z")) == [attempt.path]


def test_a_run_that_was_killed_before_it_began_is_begun(job_file, harvest, tmp_path):
    class Half(Runner):
        def run(self, attempt):
            attempt.run_dir.mkdir()
            (attempt.run_dir / "job.yaml").write_text("half")
            raise KeyboardInterrupt

    wanted = wish(job_file, harvest, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        do(wanted, Half())

    attempt = do(wanted)

    assert attempt is not None
    assert attempt.state == "ended"


def test_frames_that_a_killed_release_copied_go_with_the_attempt(job_file, harvest, tmp_path):
    wanted = wish(job_file, harvest, tmp_path)
    attempt = killed(wanted)
    copies = attempt.run_dir / "release/student/frames"
    copies.mkdir(parents=True)
    (copies / "of-a-person.jpg").write_bytes(b"")

    do(wanted)

    assert not copies.exists()
    assert (attempt.run_dir / "release/student").exists()


def test_two_at_once_do_not_work_under_one_root(job_file, harvest, tmp_path):
    wanted = wish(job_file, harvest, tmp_path)
    refused = []

    def second():
        if not refused:
            with pytest.raises(RunFolderInvalid, match="another process is working") as caught:
                do(wanted)
            refused.append(caught)

    attempt = do(wanted, reporter=Heard(second))

    assert refused
    assert list(wanted.root.glob("*T*Z")) == [attempt.path]


def test_too_few_new_frames_leave_nothing_behind(job_file, harvest, tmp_path):
    wanted, runner = wish(job_file, harvest, tmp_path, min_frames=5), Runner()

    attempt = do(wanted, runner)

    assert attempt is None
    assert runner.asked == []
    assert [one.name for one in wanted.root.iterdir()] == [".lock"]


def test_a_frame_that_a_gateway_removes_meanwhile_is_counted(job_file, harvest, tmp_path):
    def purge():
        for image in sorted(harvest.rglob("images/*/*.png"))[:1]:
            image.unlink()

    heard = Heard(purge)
    attempt = do(wish(job_file, harvest, tmp_path, review=True), reporter=heard)
    too_few = wish(job_file, harvest, tmp_path / "other", min_frames=3)

    assert "1 of them were removed from the harvest meanwhile" in heard.notes
    assert attempt is not None
    assert attempt.note()["taken"] == 3
    assert len(attempt.review_list.read_text().splitlines()) == 4
    assert do(too_few, reporter=Heard(purge)) is None


def test_a_share_above_the_jobs_own_limit_is_not_taken(job_file, harvest, tmp_path):
    """Its run would draw lots among the frames, and throw out images that it had before."""
    wanted = wish(job_file, harvest, tmp_path, limits=Limits(0.9, max_unlabelled_share=0.5))

    attempt = killed(wanted)

    assert attempt.note()["left_out"] == {"above data.max_unlabelled_share (50%)": 1}
    assert len(trained_on(attempt)[1]) == 3


def test_the_student_is_held_against_the_newest_in_the_store(job_file, harvest, tmp_path):
    wanted = wish(job_file, harvest, tmp_path)
    wanted.model_store.mkdir()
    for name, classes in (
        ("small-1.9", ["cat", "dog"]),
        ("small-1.10", ["cat", "dog"]),
        ("small-1.11", ["cat"]),
        ("smaller-9.0", ["cat", "dog"]),
    ):
        with zipfile.ZipFile(wanted.model_store / f"{name}.mar", "w") as parts:
            parts.writestr("card.json", json.dumps({"class_names": classes}))
    (wanted.model_store / "small-2.0.mar").write_bytes(b"no archive")
    told = wish(job_file, harvest, tmp_path / "told", live=tmp_path / "live.mar")

    assert Job.load(killed(wanted).job_file).gate.live == wanted.model_store / "small-1.10.mar"
    assert Job.load(killed(told).job_file).gate.live == tmp_path / "live.mar"


def test_a_teacher_that_was_trained_on_what_is_measured_now_is_refused(
    job_file, data_set, harvest, tmp_path
):
    run = RunFolder.create(tmp_path / "run", job_file, {})
    data_step(run, run.job(), Silent())
    with run.step("teacher"):
        run.checkpoint("teacher").write_bytes(b"a teacher")
    wanted = wish(job_file, harvest, tmp_path, origin=read_origin(run.path))
    for kind, suffix in (("images", "png"), ("labels", "txt")):
        root = data_set.parent / kind
        (root / f"train/1.{suffix}").rename(root / f"test/moved.{suffix}")

    with pytest.raises(DataSetInvalid, match=r"the run's teacher was trained on 1 of the images"):
        do(wanted)

    assert do(wish(job_file, harvest, tmp_path / "from-the-job")) is not None


def test_drawn_scenes_without_labels_stay_and_so_does_the_jobs_parent(write_job, harvest, tmp_path):
    scenes = "scenes: {train: 8, val: 4, test: 4, unlabelled: 3, size: 96}"
    drawn = Job.load(write_job(("scenes: {train: 16, val: 8, test: 8, size: 96}", scenes)))
    named = Origin(with_parent(drawn, tmp_path / "data.lock"))
    description = next(harvest.glob("*/data.yaml"))
    description.write_text("names: [car, person]")

    attempt = killed(wish(None, harvest, tmp_path, origin=named))

    job = Job.load(attempt.job_file)
    assert job.data.parent == tmp_path / "data.lock"
    assert [len(one.read_text().splitlines()) for one in job.data.unlabelled] == [3, 4]


def with_parent(job, lock):
    return job.model_copy(update={"data": job.data.model_copy(update={"parent": lock})})


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
    assert newest_student(job, tmp_path, ()) is None


def test_what_holds_no_card_is_not_the_newest_student(job_file, tmp_path):
    job = Job.load(job_file)
    for version, card in (("1.0", '{"class_names": ["a"]}'), ("1.1", "[" * 100_000)):
        with zipfile.ZipFile(tmp_path / f"small-{version}.mar", "w") as parts:
            parts.writestr("card.json", card)
    (tmp_path / "small-1.2.mar").write_bytes(b"no archive")

    assert newest_student(job, tmp_path, ("a",)) == tmp_path / "small-1.0.mar"
