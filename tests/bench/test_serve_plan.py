from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.distill.cells import Cell, Store
from bench.serve.cameras import held, holds, next_to_try
from bench.serve.plan import LINES, Plan
from bench.serve.scale import FULL, QUICK
from bench.serve.targets import target_of
from distill_jobs.files import write_json

SUBJECT = {"material": "m", "images": "i", "code": "c", "protocol": "1"}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(Store(tmp_path), FULL, SUBJECT, LINES, {})


def finish(plan: Plan, cell: Cell, figures: dict[str, Any], commit: str = "abc") -> None:
    folder = plan.store.describe(cell)
    write_json(folder / "done.json", {"figures": figures, "about": {"commit": commit}})


def probed(plan: Plan, commit: str = "abc") -> None:
    """Do every probe: two workers of one thread are always better."""
    chosen = {"workers": 2, "threads": 1, "spinning": True}
    while True:
        cells = plan.cells()
        left = [one for one in cells if plan.store.figures(one.key) is None]
        if not left or left[0].kind != "probe":
            return
        finish(plan, left[0], {"variant": "openvino-int8", "chosen": chosen}, commit)


def test_the_archive_s_choice_is_asked_for_first(plan: Plan) -> None:
    (cell,) = plan.cells()

    assert (cell.kind, cell.inputs["best"]) == ("probe", None)


def test_everyone_is_probed_before_anything_is_compared(plan: Plan) -> None:
    finish(plan, plan.cells()[0], {"variant": "openvino-int8", "chosen": {}})

    cells = plan.cells()

    assert {cell.kind for cell in cells} == {"probe"}
    assert len(cells) == 12
    assert {cell.inputs["best"] for cell in cells[1:]} == {"openvino-int8"}


def test_comparisons_take_the_probes_settings_and_the_choice(plan: Plan) -> None:
    probed(plan)

    rounds = [cell for cell in plan.cells() if cell.kind == "round"]

    assert rounds
    assert {cell.inputs["best"] for cell in rounds} == {"openvino-int8"}
    (first, *_) = plan.peers()[2:]
    assert {one["setting"]["workers"] for one in first.inputs["contestants"]} == {2}


def test_each_round_begins_with_another_contestant(plan: Plan) -> None:
    probed(plan)

    firsts = [cell.inputs["contestants"][0]["server"] for cell in plan.overhead()]

    assert firsts[:4] == ["ours", "torchserve", "loop", "ours"]
    assert len(firsts) == FULL.rounds["overhead"]


@pytest.mark.parametrize("what", ["material", "images", "code", "protocol"])
def test_what_is_measured_is_part_of_every_key(plan: Plan, what: str) -> None:
    changed = replace(plan, subject={**SUBJECT, what: "other"})

    assert changed.cells()[0].key != plan.cells()[0].key


def test_durations_are_part_of_the_key_and_lines_are_not(plan: Plan) -> None:
    assert replace(plan, scale=QUICK).cells()[0].key != plan.cells()[0].key
    assert replace(plan, lines=("overhead",)).cells()[0].key == plan.cells()[0].key


def test_no_input_of_a_cell_hides_what_is_measured(plan: Plan) -> None:
    probed(plan)

    for cell in plan.cells():
        assert SUBJECT.items() <= cell.inputs.items()
        assert cell.inputs.get("samples", 128) == FULL.accuracy_images


def test_an_absent_peer_is_left_out(plan: Plan) -> None:
    plan = replace(plan, absent={"triton": "no interpreter"})
    probed(plan)

    names = [one["server"] for cell in plan.peers() for one in cell.inputs.get("contestants", ())]

    assert "triton" not in names
    assert "ray" in names


def test_only_the_whole_benchmark_by_committed_code_is_committed(plan: Plan) -> None:
    for doubtful in (
        replace(plan, scale=QUICK),
        replace(plan, lines=("overhead",)),
        replace(plan, absent={"triton": "no interpreter"}),
        plan,  # nothing is done
    ):
        target = target_of(doubtful)
        assert target.doubts
        assert target.result.is_relative_to(plan.store.path)


def test_a_complete_run_goes_to_the_committed_files_and_a_dirty_one_does_not(
    plan: Plan, tmp_path: Path
) -> None:
    probed(plan)
    while left := [one for one in plan.cells() if plan.store.figures(one.key) is None]:
        for cell in left:
            finish(plan, cell, camera_figures(cell))

    assert target_of(plan, tmp_path / "root").doubts == ()
    finish(plan, plan.overhead()[0], {}, commit="abc+")
    (doubt,) = target_of(plan, tmp_path / "root").doubts
    assert plan.overhead()[0].key in doubt


def camera_figures(cell: Cell) -> dict[str, Any]:
    """Return figures by which eleven cameras are held."""
    cameras = cell.inputs.get("cameras", 0)
    late = 200.0 if cameras <= 11 else 200.1
    return {"cameras": cameras, "sent": 9, "answered": 9, "dropped": 0, "p99_ms": late}


def test_cameras_are_searched_until_both_neighbours_are_known(plan: Plan) -> None:
    probed(plan)

    while left := [one for one in plan.camera_cells("n") if plan.store.figures(one.key) is None]:
        assert plan.cameras_held("n") is None
        finish(plan, left[0], camera_figures(left[0]))

    assert plan.cameras_held("n") == 11
    tried = {cell.inputs["cameras"] for cell in plan.camera_cells("n")}
    assert {10, 11, 12} <= tried


@pytest.mark.parametrize("most", [0, 1, 2, 3, 4, 7, 8, 33])
def test_the_search_finds_the_most_that_holds(most: int) -> None:
    known: dict[int, bool] = {}

    while (count := next_to_try(known)) is not None:
        assert count not in known
        assert count > 0
        known[count] = count <= most

    assert held(known) == most
    assert known[most + 1] is False
    assert most <= 1 or known[most - 1]


def test_a_machine_that_holds_everything_ends_the_search() -> None:
    known: dict[int, bool] = {}
    while (count := next_to_try(known)) is not None:
        known[count] = True

    assert held(known) >= 256


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"p99_ms": 200.1}, False),
        ({"dropped": 1}, False),
        ({"answered": 8}, False),
        ({"sent": 0, "answered": 0}, False),
    ],
)
def test_cameras_hold_only_whole(change: dict[str, Any], expected: bool) -> None:
    figures = {"sent": 9, "answered": 9, "dropped": 0, "p99_ms": 200.0}

    assert holds(figures | change) is expected
