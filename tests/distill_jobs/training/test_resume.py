import secrets

import pytest
import torch
from training_processes import draw_data, train_in_a_process, write_teacher

pytestmark = pytest.mark.slow

RECIPE = {
    "epochs": 4,
    "batch": 4,
    "accumulate": 2,
    "optimizer": "AdamW",
    "lr0": 0.002,
    "warmup_epochs": 1,
    "mosaic": 0.8,
    "close_mosaic": 1,
    "checkpoint_batches": 3,
}
BATCHES = 4  # an epoch


def differences(one, other, place=""):
    """Yield where two states of tensors and containers differ, times aside."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key in one.keys() - {"seconds", "curves"}:
            yield from differences(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differences(left, right, f"{place}[{index}]")
    elif isinstance(one, torch.Tensor):
        if one.dtype != other.dtype or not torch.equal(one, other):
            yield place
    elif one != other:
        yield place


def rows_without_times(folder):
    rows = [line.split(",") for line in (folder / "training/curves.csv").read_text().splitlines()]
    assert rows[0][1] == "time"
    return [[*row[:1], *row[2:]] for row in rows]


def test_killed_trainings_end_as_one_that_was_never_stopped(tmp_path):
    data = draw_data(tmp_path / "data", train=4 * BATCHES)
    teacher = write_teacher(tmp_path / "teacher.pt")
    past = BATCHES * (1 + secrets.randbelow(3))  # one epoch or more
    # It is kept at the end of each epoch, and once three of its four batches are told of.
    moments = {"b": past + 1 + secrets.randbelow(3), "c": past + 4}

    for name, moment in moments.items():
        died = train_in_a_process([tmp_path / name], data, RECIPE, teacher=teacher, kill_at=moment)
        assert died.returncode == -9, died.stderr
    within = torch.load(tmp_path / "c/training/resume.pt", weights_only=True)
    assert within["processes"][0]["gradients"], "killed between two updates of the weights"
    done = train_in_a_process([tmp_path / n for n in "abc"], data, RECIPE, teacher=teacher)

    assert done.returncode == 0, done.stderr
    never_stopped, *resumed = (
        torch.load(tmp_path / name / "training/resume.pt", weights_only=True) for name in "abc"
    )
    floats = {one.dtype for one in never_stopped["model"].values() if one.is_floating_point()}
    assert floats == {torch.float32}
    assert any(name.startswith("projectors.") for name in never_stopped["model"])
    for name, batches, state in zip("bc", (0, 3), resumed, strict=True):
        where = f"going on with epoch {past // BATCHES + 1} of 4, after {batches} batches"
        assert where in (tmp_path / name / "run.log").read_text()
        assert list(differences(never_stopped, state)) == [], f"killed after {moments[name]}"
        assert rows_without_times(tmp_path / name) == rows_without_times(tmp_path / "a")
        finished = [(tmp_path / one / "student.pt").read_bytes() for one in ("a", name)]
        assert finished[0] == finished[1]
        assert b"projectors" not in finished[0]
