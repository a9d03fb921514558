import pytest

from distill_jobs.errors import JobFileInvalid
from distill_jobs.job import Job
from distill_jobs.recipe.sweep import Range
from distill_jobs.sweeping.trial_job import check_space, extremes, suggest, write_trial_job

SPACE = """licences: {data: CC0-1.0}
sweep:
  space:
    distillation.losses.class: {low: 0.5, high: 4, log: true}
    training.batch: {choices: [4, 8]}
    training.optimizer: {choices: [SGD, AdamW]}
"""
LICENCES = "licences: {data: CC0-1.0}\n"


def refused(write_job, *changes) -> str:
    path = write_job((LICENCES, SPACE), *changes)
    with pytest.raises(JobFileInvalid) as caught:
        check_space(Job.load(path), path, path.parent / "probe.yaml")
    assert not (path.parent / "probe.yaml").exists()
    return caught.value.message


def test_a_trial_changes_what_it_tries_and_nothing_else(write_job, tmp_path):
    swept = Job.load(write_job((LICENCES, SPACE)))

    trial = write_trial_job(
        swept,
        {"distillation.losses.class": 2.5, "training.batch": 4},
        tmp_path / "deep/down/trial.yaml",
        tmp_path,
    )

    assert trial.distillation is not None
    assert trial.training is not None
    assert (trial.distillation.losses.classes, trial.distillation.losses.box) == (2.5, 2.0)
    assert trial.training.batch == 4
    assert trial.sweep is None
    same = {"sweep", "training", "distillation"}
    assert trial.model_dump(exclude=same) == swept.model_dump(exclude=same)


def test_paths_of_a_trial_are_those_of_the_swept_job(write_job, tmp_path):
    path = write_job((LICENCES, SPACE), ("architecture: yolov5n\n  width: 0.125", "weights: s.pt"))
    target = tmp_path / "far/trial.yaml"

    same = write_trial_job(Job.load(path), {"training.batch": 4}, target, tmp_path).student
    other = write_trial_job(Job.load(path), {"student.weights": "o.pt"}, target, tmp_path).student
    read_back = Job.load(target).student

    assert same is not None
    assert same.weights == tmp_path / "s.pt"
    assert other == read_back
    assert other is not None
    assert other.weights == tmp_path / "o.pt"


def test_a_key_that_does_not_exist_is_refused_before_the_first_trial(write_job):
    message = refused(write_job, ("losses.class", "losses.clas"))

    assert "sweep.space.distillation.losses.clas: 0.5 is not possible" in message
    assert "unknown key" in message


@pytest.mark.parametrize("key", ["training.batch.x", "training.batch.x.y"])
def test_a_key_below_a_value_is_refused_before_the_first_trial(write_job, key):
    message = refused(write_job, ("training.batch", key))

    assert f"sweep.space.{key}: 4 is not possible" in message
    assert "there are no keys below a value" in message


def test_an_end_beyond_a_limit_is_refused_before_the_first_trial(write_job):
    message = refused(write_job, ("choices: [4, 8]", "choices: [4, 5000]"))

    assert "sweep.space.training.batch: 5000 is not possible" in message
    assert "less than or equal to 512" in message


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("data.path: {choices: [a, b]}", "trials share data, teacher and gate"),
        ("training: {choices: [1]}", "trials share data, teacher and gate"),
        ("training.lr0: {low: 0.1, high: 0.01}", "must be below high"),
        ("training.lr0: {low: 0, high: 0.1, log: true}", "needs a low above 0"),
        ("training.lr0: {low: 0.1}", "either `low:` and `high:`, or `choices:`"),
        ("training.lr0: {low: 0.1, high: 1, choices: [1]}", "either `low:` and `high:`"),
    ],
)
def test_a_space_that_makes_no_sense_names_its_line(write_job, written, says):
    path = write_job((LICENCES, f"{LICENCES}sweep:\n  space:\n    {written}\n"))

    with pytest.raises(JobFileInvalid) as caught:
        Job.load(path)

    assert says in caught.value.message
    assert caught.value.key.startswith("sweep")


def test_values_lie_in_their_ranges():
    import optuna

    space = {
        "a.rate": Range(low=0.001, high=0.1, log=True),
        "a.epochs": Range(low=2, high=6, step=2),
        "a.kind": Range(choices=("x", "y")),
    }
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    tried = [suggest(study.ask(), space) for _ in range(30)]

    assert all(0.001 <= values["a.rate"] <= 0.1 for values in tried)
    assert {values["a.epochs"] for values in tried} == {2, 4, 6}
    assert {values["a.kind"] for values in tried} == {"x", "y"}
    assert extremes(space) == [
        {"a.rate": 0.001},
        {"a.rate": 0.1},
        {"a.epochs": 2},
        {"a.epochs": 6},
        {"a.kind": "x"},
        {"a.kind": "y"},
    ]
