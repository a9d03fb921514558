import secrets

import pytest
import torch
from training_processes import draw_data, train_in_a_process, write_teacher

pytestmark = pytest.mark.slow

RECIPE = {
    "epochs": 4,
    "batch": 4,
    "optimizer": "AdamW",
    "lr0": 0.002,
    "warmup_epochs": 1,
    "mosaic": 0.8,
    "close_mosaic": 1,
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


@pytest.mark.parametrize("kept_every", [0, 3])
def test_a_killed_training_ends_as_one_that_was_never_stopped(tmp_path, kept_every):
    data = draw_data(tmp_path / "data", train=4 * BATCHES)
    teacher = write_teacher(tmp_path / "teacher.pt")
    recipe = {**RECIPE, "checkpoint_batches": kept_every}
    moment = BATCHES + 1 + secrets.randbelow(3 * BATCHES - 1)  # in the second epoch or later

    died = train_in_a_process([tmp_path / "b"], data, recipe, teacher=teacher, kill_at=moment)
    done = train_in_a_process([tmp_path / "a", tmp_path / "b"], data, recipe, teacher=teacher)

    assert died.returncode == -9, died.stderr
    assert done.returncode == 0, done.stderr
    states = [
        torch.load(tmp_path / name / "training/resume.pt", weights_only=True) for name in "ab"
    ]
    assert "going on" in (tmp_path / "b/run.log").read_text()
    assert {one.dtype for one in states[0]["model"].values()} == {torch.float32, torch.int64}
    assert list(differences(*states)) == [], f"killed after batch {moment}"
    assert rows_without_times(tmp_path / "a") == rows_without_times(tmp_path / "b")
    plain = [(tmp_path / name / "student.pt").read_bytes() for name in "ab"]
    assert plain[0] == plain[1]
