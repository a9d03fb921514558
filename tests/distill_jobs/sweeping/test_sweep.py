"""The sweep's own rules, with a runner that makes up each epoch instead of training it."""

import json
from dataclasses import dataclass, field

import pytest

from distill_jobs.errors import JobError, JobFileInvalid, TrainingFailed
from distill_jobs.job import Job
from distill_jobs.progress import Silent
from distill_jobs.run_folder import RunFolder
from distill_jobs.sweeping.sweep import open_sweep, run_sweep
from distill_jobs.training.listening import EpochSeen

SWEEP = """licences: {data: CC0-1.0}
sweep:
  startup_trials: 2
  warmup_epochs: 1
  space:
    distillation.losses.box: {low: 0.0, high: 10.0}
"""


class Killed(BaseException):
    """As a kill: nobody has a chance to say goodbye."""


@dataclass
class MadeUp:
    """Trials whose quality falls with the distance of the box loss's weight from 4."""

    epochs: int = 4
    prepared: int = 0
    trained: list[str] = field(default_factory=list)
    fail_above: float = 100.0
    killed_in: int | None = None

    def prepare(self, folder, reporter):
        self.prepared += 1
        (folder.path / "data").mkdir(exist_ok=True)
        (folder.path / "data/data.yaml").write_text("train: images/train\nnames: [a]\n")
        for step in ("data", "teacher"):
            if folder.figures(step) is None:
                with folder.step(step):
                    (folder.path / f"{step}.pt").write_bytes(b"")

    def train_student(self, folder, reporter, listeners):
        self.trained.append(folder.path.name)
        assert (folder.path / "teacher.pt").exists()
        job = folder.job()
        assert job.distillation is not None
        weight = job.distillation.losses.box
        if weight > self.fail_above:
            raise TrainingFailed(f"a loss of {weight:.1f} became NaN")
        quality = 0.8 - 0.05 * abs(weight - 4)
        rows = ["epoch,metrics/mAP50-95(B)"]
        training = folder.training("student")
        training.mkdir(parents=True, exist_ok=True)
        for number in range(self.epochs):
            value = quality * (number + 1) / self.epochs
            rows.append(f"{number + 1},{value}")
            (training / "results.csv").write_text("\n".join(rows))
            for listener in listeners:
                listener.epoch_ended(self.seen(number, value))
            if self.killed_in == len(self.trained):
                raise Killed

    def seen(self, number, value):
        return EpochSeen(
            "distil student",
            number,
            self.epochs,
            number,
            {},
            {"map50_95": value},
            (),
            1.0,
            0.0,
            number + 1 == self.epochs,
            tuple,
        )


@pytest.fixture
def swept(write_job):
    return write_job(("licences: {data: CC0-1.0}\n", SWEEP))


class Noted(Silent):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def run(job_file, folder, trials, runner, reporter=None):
    return run_sweep(open_sweep(job_file, folder, trials), runner, reporter or Silent())


def test_each_trial_is_told_with_its_count_on_lines_that_fit(swept, tmp_path):
    told = Noted()

    run(swept, tmp_path / "sweep", 3, MadeUp(), told)

    heads = [line for line in told.notes if line.startswith("trial ")]
    assert [head.partition(":")[0] for head in heads] == ["trial 1/3", "trial 2/3", "trial 3/3"]
    assert all("; best 0." in head for head in heads)
    assert sum(line.strip().startswith("box ") for line in told.notes) == 3
    assert max(map(len, told.notes)) <= 76


def test_trials_are_counted_those_stopped_early_too_and_the_best_is_a_job(swept, tmp_path):
    runner = MadeUp()

    figures = run(swept, tmp_path / "sweep", 12, runner)

    assert runner.prepared == 1
    assert figures.counted == 12
    states = [one.state for one in figures.trials]
    assert states.count("stopped early") > 0
    assert states[:2] == ["complete", "complete"]
    written = json.loads((tmp_path / "sweep/sweep.json").read_text())
    assert (written["counted"], written["split"]) == (12, "val")
    assert written["stopped_early"] == states.count("stopped early")
    best = figures.ranked()[0]
    winner = Job.load(tmp_path / "sweep/best.yaml").distillation
    assert winner is not None
    assert winner.losses.box == best.values["distillation.losses.box"]
    assert best.value == max(one.value for one in figures.ranked())
    stopped = [one for one in figures.trials if one.state == "stopped early"]
    assert all(2 <= one.epochs < 4 for one in stopped)


def test_the_same_command_again_does_nothing_and_more_trials_add_to_those_done(swept, tmp_path):
    run(swept, tmp_path / "sweep", 3, MadeUp())

    again, more = MadeUp(), MadeUp()
    first = run(swept, tmp_path / "sweep", 3, again)
    second = run(swept, tmp_path / "sweep", 5, more)

    assert (first.counted, again.trained) == (3, [])
    assert (second.counted, more.trained) == (5, ["0004", "0005"])


def test_a_killed_trial_goes_on_in_its_own_folder_with_its_own_values(swept, tmp_path):
    with pytest.raises(Killed):
        run(swept, tmp_path / "sweep", 3, MadeUp(killed_in=2))
    tried = RunFolder.open(tmp_path / "sweep/trials/0002").job().distillation

    runner = MadeUp()
    figures = run(swept, tmp_path / "sweep", 3, runner)

    assert runner.trained == ["0002", "0004"]
    assert [one.state for one in figures.trials] == ["complete"] * 3
    assert tried is not None
    second = figures.trials[1]
    assert (second.folder, second.values) == (
        "0002",
        {"distillation.losses.box": tried.losses.box},
    )


def test_what_is_tried_depends_on_the_trials_before_alone(swept, tmp_path):
    one = run(swept, tmp_path / "one", 6, MadeUp())
    run(swept, tmp_path / "other", 3, MadeUp())
    other = run(swept, tmp_path / "other", 6, MadeUp())

    assert [trial.values for trial in one.trials] == [trial.values for trial in other.trials]


def test_failed_trials_are_told_and_not_counted(swept, tmp_path):
    figures = run(swept, tmp_path / "sweep", 4, MadeUp(fail_above=5.0))

    failed = [one for one in figures.trials if one.state == "failed"]
    assert figures.counted == 4
    assert failed
    assert all("became NaN" in one.reason for one in failed)


def test_a_space_in_which_everything_fails_comes_to_an_end(swept, tmp_path):
    with pytest.raises(JobError, match=r"the last trials all failed: a loss of .* became NaN"):
        run(swept, tmp_path / "sweep", 2, MadeUp(fail_above=-1.0))


def test_a_changed_job_is_another_sweep(swept, tmp_path):
    run(swept, tmp_path / "sweep", 1, MadeUp())
    swept.write_text(swept.read_text().replace("seed: 3", "seed: 4"))

    with pytest.raises(JobError, match="holds a sweep of another job file"):
        open_sweep(swept, tmp_path / "sweep", 2)


def test_a_job_without_a_space_is_told_how_to_write_one(write_job, tmp_path):
    with pytest.raises(JobFileInvalid, match=r"distillation\.losses\.box: \{low: 0\.5"):
        open_sweep(write_job(), tmp_path / "sweep", 2)

    assert not (tmp_path / "sweep").exists()
