import json

import pytest

from distill_jobs.run_folder import RunFolder
from distill_jobs.study.run_list import list_runs

STEPS = ("data", "teacher", "student", "release-teacher", "release-student")


@pytest.fixture
def make(write_job, tmp_path):
    def make(name, *steps, kind="", **figures):
        places = {"kind": kind} if kind else {}
        folder = RunFolder.create(tmp_path / "runs" / name, write_job(), places)
        for step in steps:
            with folder.step(step) as marker:
                marker.update(figures.get(step.replace("-", "_"), {}))
        return folder

    return make


def states(tmp_path, **options):
    return {
        str(one.path.relative_to(tmp_path / "runs")): one.state
        for one in list_runs(tmp_path / "runs", **options)
    }


def test_each_run_says_how_far_it_is(make, tmp_path):
    make("finished", *STEPS)
    make("killed", "data", "teacher")
    make("refused", *STEPS[:-1]).failure.write_text("2.1 points short")
    with make("busy", "data").alone():
        found = states(tmp_path)

    assert found == {
        "finished": "done",
        "killed": "stopped at student",
        "refused": "failed at release-student",
        "busy": "running teacher",
    }


def test_trials_are_runs_only_where_asked_for(make, tmp_path):
    make("sweep", "data", "teacher", kind="sweep")
    make("sweep/trials/0001", "data", "teacher", "student", kind="trial")

    assert states(tmp_path) == {"sweep": "sweep, stopped"}
    assert states(tmp_path, trials=True) == {"sweep": "sweep, stopped", "sweep/trials/0001": "done"}


def test_a_sweep_says_how_many_trials_it_counted(make, tmp_path):
    folder = make("sweep", "data", "teacher", kind="sweep")
    (folder.path / "sweep.json").write_text('{"counted": 20}')
    with folder.alone():
        busy = states(tmp_path)

    assert busy == {"sweep": "sweep, running"}
    assert states(tmp_path) == {"sweep": "sweep of 20 trials"}


def test_a_trial_that_ended_without_a_student_is_not_called_stopped(make, tmp_path):
    sweep = make("sweep", "data", "teacher", kind="sweep")
    for name in ("0001", "0002"):
        make(f"sweep/trials/{name}", "data", "teacher", kind="trial")
    trials = [{"folder": "0001", "state": "stopped early"}]
    (sweep.path / "sweep.json").write_text(json.dumps({"counted": 1, "trials": trials}))

    found = states(tmp_path, trials=True)

    assert found["sweep/trials/0001"] == "stopped early"
    assert found["sweep/trials/0002"] == "stopped at student"


def test_a_sweep_that_has_no_teacher_yet_says_so(make, tmp_path):
    make("sweep", "data", kind="sweep")

    assert states(tmp_path) == {"sweep": "stopped at teacher"}


def test_a_run_that_cannot_be_read_hides_no_other(make, tmp_path):
    make("good", *STEPS)
    (make("bad").job_file).write_text("name: [")
    (make("worse").path / "run.json").write_text("{")

    found = states(tmp_path)

    assert found["good"] == "done"
    assert found["bad"].startswith("unreadable: ")
    assert found["worse"].startswith("unreadable: ")


def test_how_much_of_the_teacher_is_kept(make, tmp_path):
    trained = {"parameters": 10, "train_seconds": 1.0}
    make(
        "run",
        *STEPS,
        teacher=trained,
        student=trained,
        release_teacher={"map50": 0.9, "map50_95": 0.8},
        release_student={"map50": 0.8, "map50_95": 0.6},
    )

    (line,) = list_runs(tmp_path / "runs")

    assert line.kept == pytest.approx(0.75)


def test_no_folder_no_runs(tmp_path):
    assert list_runs(tmp_path / "nowhere") == []
