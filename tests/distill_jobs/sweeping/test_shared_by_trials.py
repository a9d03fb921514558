"""What the trials of a sweep share: nothing that they have in common is measured twice."""

import pytest

from distill_jobs.environment import PROJECT_ROOT
from distill_jobs.progress import Silent
from distill_jobs.pruning import cut_for_all, cut_student
from distill_jobs.run_folder import RunFolder
from distill_jobs.sweeping.trial_folder import open_trial
from distill_jobs.taking_in import data_step

TRAINED = PROJECT_ROOT / "distill_jobs" / "demo" / "teacher.pt"
FROM_NOTHING = "student:\n  architecture: yolov5n\n  width: 0.125\n"
CUT = f"student:\n  weights: {TRAINED}\n  prune: {{keep: 0.5}}\n"


@pytest.fixture
def begun(write_job, tmp_path):
    """Return a function that begins a sweep over a key and opens its first two trials."""

    def begin(key):
        space = f"sweep:\n  space:\n    {key}: {{low: 0.25, high: 0.75}}\nlicences:"
        job = write_job((FROM_NOTHING, CUT), ("licences:", space))
        sweep = RunFolder.create(tmp_path / "sweep", job, {"kind": "sweep"})
        data_step(sweep, sweep.job(), Silent())
        with sweep.step("teacher"):
            sweep.checkpoint("teacher").write_bytes(TRAINED.read_bytes())
        cut_for_all(sweep, sweep.job(), Silent())
        return [open_trial(sweep, name, job) for name in ("0001", "0002")]

    return begin


def test_trials_have_one_cut_and_one_store_of_answers(begun):
    trials = begun("distillation.losses.box")

    cuts = []
    for trial in trials:
        student = cut_student(trial, trial.job(), trial.job().student, Silent())
        cuts.append(student.weights.resolve())
        assert (trial.path / "teacher-answers").resolve().is_dir()
    assert cuts[0] == cuts[1] == (trials[0].path.parents[1] / "student-cut.pt").resolve()
    assert len({(one.path / "teacher-answers").resolve() for one in trials}) == 1


def test_a_swept_cut_is_each_trials_own(begun):
    trials = begun("student.prune.keep")

    assert all(one.figures("prune") is None for one in trials)
    assert not (trials[0].path / "student-cut.pt").exists()
