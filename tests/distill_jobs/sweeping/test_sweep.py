"""The sweep's own rules, with a runner that makes up each epoch instead of training it."""

import contextlib
import json
from dataclasses import dataclass, field

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

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
    """Trials whose quality falls with the distance of the box loss's weight from 4.

    As a real training it goes on after the last epoch that was kept, and an epoch is kept once
    those who listen were told of it.
    """

    rises: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    prepared: int = 0
    trained: list[str] = field(default_factory=list)
    fail_above: float = 100.0
    as_trained: float | None = None
    killed_in: str = ""
    killed_at: int = 1
    killed_when: str = "kept"

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
        kept = folder.path / "kept"
        for number in range(int(kept.read_text()) if kept.exists() else 0, len(self.rises)):
            value = (0.8 - 0.05 * abs(weight - 4)) * self.rises[number]
            dies = (self.killed_in, self.killed_at) == (folder.path.name, number + 1)
            for listener in listeners:
                listener.epoch_ended(self.seen(number, value))
            if dies and self.killed_when == "told":
                raise Killed
            kept.write_text(str(number + 1))
            if dies:
                raise Killed
        if self.as_trained is not None:
            with folder.step("student") as figures:
                scores = {"as_trained": self.as_trained * weight, "settled": 0.04 * weight}
                kept = max(scores, key=lambda name: scores[name])
                figures["batch_norms"] = {"kept": kept, **scores}

    def seen(self, number, value):
        return EpochSeen(
            "distil student",
            number,
            len(self.rises),
            number,
            {},
            {"map50_95": value},
            (),
            1.0,
            0.0,
            number + 1 == len(self.rises),
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


def test_each_trial_is_told_with_its_count(swept, tmp_path):
    told = Noted()

    run(swept, tmp_path / "sweep", 3, MadeUp(), told)

    heads = [line for line in told.notes if line.startswith("trial ")]
    assert [head.partition(":")[0] for head in heads] == ["trial 1/3", "trial 2/3", "trial 3/3"]
    assert all("; best 0." in head for head in heads)
    assert sum(line.strip().startswith("box ") for line in told.notes) == 3


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
        run(swept, tmp_path / "sweep", 3, MadeUp(killed_in="0002"))
    tried = RunFolder.open(tmp_path / "sweep/trials/0002").job().distillation

    runner = MadeUp()
    figures = run(swept, tmp_path / "sweep", 3, runner)

    assert runner.trained == ["0002", "0003"]
    assert [one.state for one in figures.trials] == ["complete"] * 3
    assert tried is not None
    second = figures.trials[1]
    assert (second.folder, second.values) == (
        "0002",
        {"distillation.losses.box": tried.losses.box},
    )


@pytest.mark.parametrize(("epoch", "when"), [(1, "told"), (2, "kept"), (4, "kept")])
def test_a_sweep_that_is_killed_in_each_trial_ends_as_one_that_was_not(
    swept, tmp_path, epoch, when
):
    unbroken = run(swept, tmp_path / "one", 5, MadeUp(fail_above=7.0))

    for trial in unbroken.trials:
        killed = MadeUp(fail_above=7.0, killed_in=trial.folder, killed_at=epoch, killed_when=when)
        with contextlib.suppress(Killed):
            run(swept, tmp_path / "other", 5, killed)
    broken = run(swept, tmp_path / "other", 5, MadeUp(fail_above=7.0))

    assert {one.state for one in unbroken.trials} == {"complete", "stopped early", "failed"}
    assert broken.trials == unbroken.trials
    best = [(tmp_path / name / "best.yaml").read_text() for name in ("one", "other")]
    assert best[0] == best[1]


def test_a_kill_while_values_are_drawn_changes_nothing(swept, tmp_path):
    plan = open_sweep(swept, tmp_path / "killed", 3)
    storage = JournalStorage(JournalFileBackend(str(plan.folder.path / "trials.journal")))
    optuna.create_study(storage=storage, study_name=plan.job.name, direction="maximize").ask()

    killed = run_sweep(plan, MadeUp(), Silent())
    unbroken = run(swept, tmp_path / "unbroken", 3, MadeUp())

    assert killed.trials == unbroken.trials


def test_the_best_epoch_of_a_trial_that_was_killed_after_it_is_known(swept, tmp_path):
    falls = (1.0, 0.5, 0.6, 0.7)
    with pytest.raises(Killed):
        run(swept, tmp_path / "sweep", 1, MadeUp(rises=falls, killed_in="0001"))

    (trial,) = run(swept, tmp_path / "sweep", 1, MadeUp(rises=falls)).trials

    assert (trial.epoch, trial.epochs) == (1, 4)
    quality = 0.8 - 0.05 * abs(trial.values["distillation.losses.box"] - 4)
    assert trial.value == pytest.approx(quality)


@pytest.mark.parametrize(("as_trained", "kept"), [(0.05, 0.05), (0.03, 0.04)])
def test_a_trial_is_judged_by_the_student_that_it_keeps(swept, tmp_path, as_trained, kept):
    """As a release is measured, whichever batch norms it keeps: one yardstick for all trials."""
    trials = run(swept, tmp_path / "sweep", 2, MadeUp(as_trained=as_trained)).trials

    for trial in trials:
        assert trial.value == kept * trial.values["distillation.losses.box"]
        assert trial.epoch == 4


def test_a_trial_without_a_finite_epoch_has_failed(swept, tmp_path):
    with pytest.raises(JobError, match="no epoch of it was measured on the validation split"):
        run(swept, tmp_path / "sweep", 1, MadeUp(rises=(float("nan"),)))


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
