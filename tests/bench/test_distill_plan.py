"""What there is to do follows from what is done: trials choose, teachers first, costs count."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.distill import arms
from bench.distill.cells import Cell, Figures, Store
from bench.distill.folds import Fold
from bench.distill.plan import Plan


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A benchmark of which nothing is done yet."""
    folds = [Fold(number, ("cell",), (), (), ()) for number in range(3)]
    weights = {"yolov8n.pt": "small", "yolov8s.pt": "large"}
    return Plan(Store(tmp_path), folds, weights)


def test_before_the_shared_trials_are_done_nothing_else_can_be_named(plan: Plan) -> None:
    names = [cell.name for cell in plan.cells()]

    assert names == [f"none-f{fold}-s0" for fold in range(3) for _ in range(arms.TRIALS)]


def test_every_arm_that_tunes_has_as_many_trials(plan: Plan) -> None:
    _finish_trials(plan, "none", "teacher")

    counts = {
        len(plan.trials(arm, fold))
        for arm in ("none", "builtin", "ours", "ours-small")
        for fold in plan.folds
    }

    assert counts == {arms.TRIALS}


def test_each_fold_chooses_for_itself(plan: Plan) -> None:
    first, second, third = plan.folds
    _finish_trials(plan, "none", best=0, folds=(0,))
    _finish_trials(plan, "none", best=2, folds=(1,))

    assert plan.choice("none", first) == arms.NONE_SPACE[0]
    assert plan.choice("none", second) == arms.NONE_SPACE[2]
    assert plan.choice("none", third) is None
    assert {cell.name for cell in plan.cells()} >= {"teacher-f0-s0", "teacher-f1-s0"}
    assert "teacher-f2-s0" not in {cell.name for cell in plan.cells()}


def test_one_fold_is_finished_before_the_next_begins(plan: Plan) -> None:
    _finish_trials(plan, "none", "teacher", "builtin", "ours", "ours-small")

    order = [(one.fold, one.arm) for one in plan.trained()]

    a_fold = ["none", "teacher", "builtin", "ours", "none-long", "ours-small"]
    assert order == [
        *((fold, arm) for fold in range(3) for arm in a_fold),
        (0, "engine-check"),
        *((fold, arm) for fold in range(3) for arm in arms.FEW_ARMS),
    ]
    assert plan.cells()[-1].kind == "latency"


def test_who_knows_few_labels_tunes_no_more_and_reads_its_teacher(plan: Plan) -> None:
    _finish_trials(plan, "none", "teacher", "builtin", "ours", best=1)
    alone = replace(plan, wanted=("few-none", "few-builtin", "few-pseudo", "few-ours"))

    found = {one.arm: one.training for one in alone.trained() if one.fold == 0}

    teacher = found["teacher"].key
    shared = arms.NONE_SPACE[1]
    few = [found[arm] for arm in arms.FEW_ARMS]
    assert all(shared.items() <= cell.inputs["arguments"].items() for cell in few)
    assert [cell.after for cell in few] == [(), (teacher,), (teacher,), (teacher,)]
    assert found["few-builtin"].inputs["arguments"]["dis"] == arms.BUILTIN_SPACE[1]["dis"]
    losses = found["few-ours"].inputs["distillation"]["losses"]
    assert losses["box"] == arms.OURS_SPACE[1]["losses"]["box"]
    assert found["none"].key not in {cell.key for cell in few}


def test_another_device_is_another_training(plan: Plan) -> None:
    elsewhere = replace(plan, device="cuda")

    keys = [{cell.key for cell in one.cells()} for one in (plan, elsewhere)]

    assert not keys[0] & keys[1]


def test_the_best_trial_sets_what_every_student_shares(plan: Plan) -> None:
    _finish_trials(plan, "none", "teacher", "ours", "builtin", best=1)

    shared = [
        {key: cell.inputs["arguments"][key] for key in arms.NONE_SPACE[1]}
        for one in plan.trained()
        if one.arm != "teacher"
        for cell in [one.training]
    ]

    assert len(shared) > 9
    assert all(one == arms.NONE_SPACE[1] for one in shared)


def test_a_chosen_trial_is_not_trained_again(plan: Plan) -> None:
    _finish_trials(plan, "none", best=2)

    chosen = plan.trials("none", plan.folds[0])[2][1]

    assert [one.training for one in plan.trained() if (one.arm, one.fold) == ("none", 0)] == [
        chosen
    ]


def test_trainings_of_a_fold_differ_in_their_teacher_and_losses_alone(plan: Plan) -> None:
    _finish_trials(plan, "none", "teacher", "ours")
    of_fold_1 = {one.arm: one.training for one in plan.trained() if one.fold == 1}
    none, ours = of_fold_1["none"].inputs, of_fold_1["ours"].inputs

    different = {key for key in none if none[key] != ours[key]}

    assert different == {"engine", "teacher", "distillation"}
    assert ours["teacher"] == of_fold_1["teacher"].key


def test_the_long_student_gets_the_epochs_that_ours_cost(plan: Plan) -> None:
    _finish_trials(plan, "none", "teacher", "ours")
    of_fold_1 = {one.arm: one.training for one in plan.trained() if one.fold == 1}
    none = {"cpu_s_per_epoch": 20.0, "cpu_s": 400.0}
    ours = {"cpu_s_per_epoch": 36.0, "cpu_s": 720.0}
    _finish(plan, of_fold_1["none"], {"inner_map50_95": 0.6, **none})
    _finish(plan, of_fold_1["ours"], {"inner_map50_95": 0.6, **ours})

    long = next(cell for cell in plan.cells() if cell.name == "none-long-f1-s0")

    assert long.inputs["arguments"]["epochs"] == 36
    assert long.inputs["arguments"]["patience"] == 0
    assert long.inputs["teacher"] is None


def test_an_arm_alone_brings_its_teachers_and_the_shared_trials(plan: Plan) -> None:
    alone = replace(plan, wanted=("builtin",), only_folds=(1,))
    _finish_trials(alone, "none", "teacher")

    names = {cell.name for cell in alone.cells() if cell.kind == "train"}

    assert names == {"none-f1-s0", "teacher-f1-s0", "builtin-f1-s0"}


def test_a_second_seed_keeps_the_teachers(plan: Plan) -> None:
    two = replace(plan, seeds=(0, 1))
    _finish_trials(two, "none", "teacher")

    trained = two.trained()

    keys = {one.training.key for one in trained if one.arm == "teacher"}
    assert len(keys) == 3
    assert {one.seed for one in trained if one.arm == "none"} == {0, 1}


def _finish_trials(
    plan: Plan, *names: str, best: int = 1, folds: Sequence[int] = (0, 1, 2)
) -> None:
    for fold in (plan.folds[number] for number in folds):
        for arm in names:
            for number, (_, cell) in enumerate(plan.trials(arm, fold)):
                score = 0.6 if number == best else 0.5
                cost = {"cpu_s_per_epoch": 10.0, "cpu_s": 200.0}
                _finish(plan, cell, {"inner_map50_95": score, **cost})


def _finish(plan: Plan, cell: Cell, figures: Figures) -> None:
    folder = plan.store.describe(cell)
    (folder / "done.json").write_text(json.dumps({"figures": figures, "about": {}}))
