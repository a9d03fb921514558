"""What a person says of harvested frames, and that it is remembered."""

import json
import shutil

import numpy as np
import pytest
import yaml
from harvests import write_frame
from redistillations import Heard, Runner, do, names_in, random_picture, say, trained_on, wish

from distill_jobs.data.dataset import Dataset
from distill_jobs.errors import DataSetInvalid, JobError
from distill_jobs.job import Job
from distill_jobs.redistil.memory import Memory


@pytest.fixture
def wanted(job_file, harvest, tmp_path):
    return wish(job_file, harvest, tmp_path, review=True)


@pytest.fixture
def waiting(wanted):
    """An attempt that waits for its review."""
    attempt = do(wanted)
    assert attempt is not None
    assert attempt.state == "in review"
    return attempt


def killed(wanted):
    with pytest.raises(KeyboardInterrupt):
        do(wanted, Runner(KeyboardInterrupt()))


def stem(name):
    return name.rpartition("/")[2].rpartition(".")[0]


def test_a_reviewed_frame_trains_with_its_labels_and_a_rejected_one_not_at_all(wanted, waiting):
    right, wrong, *rest = names_in(waiting.review_list)
    say(waiting, **{right: "accept", wrong: "reject"})

    killed(wanted)

    assert waiting.state == "running"
    assert trained_on(waiting) == ({stem(right)}, {stem(name) for name in rest})
    train = Dataset.load(Job.load(waiting.job_file).data.path).splits["train"]
    (accepted,) = [one for one in train if "accepted" in one.image.parts]
    assert accepted.labels is not None
    assert accepted.labels.read_text().split() == ["1", "0.5", "0.5", "0.2", "0.2"]
    assert (waiting.path / "review.html").read_text().count("data:image/jpeg;base64,") == 4


def test_nobodys_review_lets_nothing_train(wanted, waiting, job_file, harvest, tmp_path):
    runner = Runner()

    again = do(wanted, runner)
    unreviewed = do(wish(job_file, harvest, tmp_path), runner)

    assert again == unreviewed == waiting
    assert (waiting.state, runner.asked) == ("in review", [])
    done = do(wish(job_file, harvest, tmp_path, reviewed=True), runner)
    assert done == waiting
    assert runner.asked == ["run"]


def test_a_rejected_frame_is_never_taken_again_and_accepted_labels_come_back(
    wanted, waiting, job_file, harvest, tmp_path
):
    right, wrong, *_ = names_in(waiting.review_list)
    labels = next(waiting.path.rglob(f"labels/*/{stem(right)}.txt"))
    labels.write_text("0 0.4 0.4 0.3 0.3\n")  # mended by hand before it was accepted
    say(waiting, **{right: "accept", wrong: "reject"})
    do(wanted)
    # The very same picture once more, and one that shows almost the same.
    rejected = next(harvest.rglob(f"images/*/{stem(wrong)}.png"))
    write_frame(harvest, rejected, ("cat", "dog"), f1=0.0)

    heard = Heard()
    unreviewed = wish(job_file, harvest, tmp_path, min_frames=0)
    with pytest.raises(KeyboardInterrupt):
        do(unreviewed, Runner(KeyboardInterrupt()), heard)

    (attempt,) = [one for one in wanted.root.glob("*T*Z") if one != waiting.path]
    with_labels, without = trained_on(type(waiting)(attempt))
    assert "2 left out: rejected in a review" in heard.notes
    assert with_labels == {stem(right)}
    assert stem(wrong) not in without
    assert len(without) == 2
    (text,) = attempt.glob("data/accepted/labels/*")
    assert text.read_text().split() == ["0", "0.4", "0.4", "0.3", "0.3"]


def test_a_new_review_begins_with_the_verdicts_of_the_last(wanted, waiting, harvest, tmp_path):
    right, *_ = names_in(waiting.review_list)
    say(waiting, **{right: "accept"})
    do(wanted)
    for number in range(2):
        image = random_picture(tmp_path / f"new{number}.png", np.random.default_rng(50 + number))
        write_frame(harvest, image, ("cat", "dog"))

    second, runner = do(wanted), Runner()

    assert second is not None
    verdicts = [line.split(",")[0] for line in second.review_list.read_text().splitlines()[1:]]
    assert sorted(verdicts) == ["", "", "", "", "", "accept"]
    assert do(wanted, runner) == second  # nobody has looked at this one yet
    assert runner.asked == []


def test_verdicts_may_change_until_the_run_begins(wanted, waiting):
    first, second, third, _ = sorted(names_in(waiting.review_list))
    next(waiting.path.rglob(f"labels/*/{stem(second)}.txt")).write_text("9 0.5 0.5 0.2 0.2\n")
    say(waiting, **{first: "accept", second: "accept"})
    with pytest.raises(JobError, match=f"Mend it, or reject {second}"):
        do(wanted)
    say(waiting, **{first: "reject", second: "reject", third: "accept"})

    killed(wanted)

    with_labels, without = trained_on(waiting)
    assert with_labels == {stem(third)}
    assert not {stem(first), stem(second)} & without


def test_where_every_frame_is_rejected_the_attempt_ends(wanted, waiting):
    names = names_in(waiting.review_list)
    say(waiting, **dict.fromkeys(names, "reject"))
    runner, heard = Runner(), Heard()

    assert do(wanted, runner) == waiting
    assert do(wanted, runner, heard) is None

    assert (waiting.state, runner.asked) == ("ended", [])
    assert "4 left out: rejected in a review" in heard.notes


def test_accepted_labels_take_the_ids_of_the_jobs_own_data_set(job_file, harvest, tmp_path):
    text = job_file.read_text()
    job_file.write_text(
        text.replace("data.yaml\n", "data.yaml\n  classes: {dog: dog, cat: cat}\n", 1)
    )
    wanted = wish(job_file, harvest, tmp_path, review=True)
    # The serving student knows the job's classes in the job's order: dog is 0 there, cat is 1.
    description = next(harvest.glob("*/data.yaml"))
    description.write_text(yaml.safe_dump({"names": ["dog", "cat"]}))
    waiting = do(wanted)
    say(waiting, **{names_in(waiting.review_list)[0]: "accept"})

    killed(wanted)

    (labels,) = (waiting.path / "data/accepted/labels").iterdir()
    assert labels.read_text().split()[0] == "0"  # "cat" is 0 in the data set's own files


def test_a_verdict_that_is_none_names_its_line(wanted, waiting):
    say(waiting, **{names_in(waiting.review_list)[0]: "yes"})

    with pytest.raises(DataSetInvalid, match=r"review\.csv:2: .*accept, reject or nothing"):
        do(wanted)

    assert waiting.state == "in review"


def test_broken_labels_and_odd_cameras_do_a_review_no_harm(wanted, harvest, tmp_path):
    image = random_picture(tmp_path / "odd.png", np.random.default_rng(9))
    name = write_frame(harvest, image, ("cat", "dog"), labels="7 9 9 9 9\n", camera="=1+1")

    attempt = do(wanted)

    assert attempt is not None
    (line,) = [one for one in attempt.review_list.read_text().splitlines() if name in one]
    assert line.split(",")[2] == "'=1+1"  # no formula for whoever opens it in a spreadsheet


def test_harvested_pictures_do_not_outlive_an_attempt(wanted, waiting):
    right, *_ = names_in(waiting.review_list)
    say(waiting, **{right: "accept"})

    class Staging(Runner):
        def run(self, attempt):
            """Leave what `staging` leaves of a data set's own image and of harvested ones."""
            super().run(attempt)
            train = attempt.run_dir / "data/images/train"
            train.mkdir(parents=True)
            (train / "000000-own.png").write_bytes(b"")
            (accepted,) = attempt.path.glob("data/accepted/images/*")
            (train / f"000001-{accepted.name}").symlink_to(accepted)
            frames = attempt.path.glob("frames/*/images/*/*")
            names = [f"{number:06d}-{frame.name}" for number, frame in enumerate(frames, start=2)]
            for name in names:
                (train / name).write_bytes(b"")
            listing = "".join(f"images/train/{name}\n" for name in names)
            (attempt.run_dir / "data/unlabelled.txt").write_text(listing)

    attempt = do(wanted, Staging())

    assert attempt is not None
    pictures = [one for one in attempt.path.rglob("*") if one.suffix in {".png", ".jpg", ".html"}]
    assert [one.name for one in pictures] == ["000000-own.png"]
    assert (attempt.run_dir / "data/unlabelled.txt").read_text() == ""
    verdicts = [one["verdict"] for one in json.loads(frames_json(wanted).read_text()).values()]
    assert sorted(verdicts) == ["", "", "", "accept"]


def frames_json(wanted):
    return wanted.root / "frames.json"


def test_a_damaged_memory_is_no_memory_of_nothing(wanted, waiting):
    frames_json(wanted).write_text('{"a": 1}')

    with pytest.raises(JobError, match="it says which frames were rejected"):
        Memory(wanted.root)
    shutil.rmtree(waiting.path)
    with pytest.raises(JobError, match="it says which frames were rejected"):
        do(wanted)
