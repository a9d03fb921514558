"""From what images answered to tables: paired differences, goals, and what is not there yet."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.distill import arms, tables
from bench.distill.cells import Cell, Figures, Store
from bench.distill.comparing import (
    Scored,
    bounded,
    difference,
    gap_closed,
    resample,
    retention,
)
from bench.distill.folds import Fold
from bench.distill.goals import MET, MISSED, NO_GAP, NOT_ASKED, UNMEASURED, judged
from bench.distill.measuring import keep_matches, read_matches
from bench.distill.page import write_page
from bench.distill.plan import Plan
from bench.distill.plot import draw
from bench.distill.report import write_report
from bench.distill.targets import target_of
from distill_jobs.release.matches import ImageMatches

# Ten IoU thresholds: how many of them a detection of each model passes.
_TEACHER, _OURS, _NONE = 9, 7, 5


def image(passed: int, *, score: float = 0.9) -> ImageMatches:
    """One label, found as well as `passed` IoU thresholds ask for."""
    hits = np.arange(10)[None, :] < passed
    one = np.zeros(1, np.int64)
    return ImageMatches(hits, np.array([score], np.float32), one, one)


def scored(arm: str, passed: int) -> Scored:
    """An arm that answers alike on two folds of four images."""
    matches = [image(passed) for _ in range(4)]
    return Scored(arm, {fold: {0: matches} for fold in (0, 1)})


def test_a_constant_advantage_has_no_spread() -> None:
    ours, none, teacher = (
        resample(scored(arm, passed), (0, 1))
        for arm, passed in (("ours", _OURS), ("none", _NONE), ("teacher", _TEACHER))
    )

    assert difference(ours, none)["map50_95"] == pytest.approx(
        {"value": 20.0, "low": 20.0, "high": 20.0}, abs=0.2
    )
    assert gap_closed(ours, none, teacher)["map50_95"]["value"] == pytest.approx(50.0, abs=0.2)


def test_where_the_teacher_is_no_better_no_share_is_claimed() -> None:
    ours, none = (
        resample(scored(arm, passed), (0, 1)) for arm, passed in (("ours", _OURS), ("none", _NONE))
    )

    share = gap_closed(ours, none, teacher=none)

    assert share["resamples_without_gap"] == len(none.map50) - 1
    assert share["map50_95"] == {"value": None, "low": None, "high": None}
    json.dumps(share, allow_nan=False)


def test_an_uneven_advantage_has_an_interval_around_it() -> None:
    better = [image(_OURS), image(_TEACHER), image(_NONE), image(_NONE)]
    worse = [image(_NONE) for _ in better]

    found = difference(
        resample(Scored("ours", {0: {0: better}}), (0,)),
        resample(Scored("none", {0: {0: worse}}), (0,)),
    )["map50_95"]

    assert found["low"] < found["value"] < found["high"]


def test_folds_are_judged_apart_whatever_their_models_scores() -> None:
    sound, faint = (
        [
            ImageMatches(one.hits, one.scores * scale, one.class_ids, one.true_ids)
            for one in _mixed()
        ]
        for scale in (1.0, 0.4)
    )

    even = resample(Scored("even", {0: {0: sound}, 1: {0: sound}}), (0, 1))
    uneven = resample(Scored("uneven", {0: {0: sound}, 1: {0: faint}}), (0, 1))

    assert difference(even, uneven)["map50_95"]["value"] == 0
    assert difference(even, uneven)["pooled_map50_95"]["value"] > 1


def test_a_fold_is_resampled_alike_whichever_folds_it_stands_with() -> None:
    matches = {fold: {0: [image(_OURS), image(_NONE), image(_TEACHER)]} for fold in (0, 1)}

    alone, other, both = (
        resample(Scored("ours", matches), folds).map50_95 for folds in ((0,), (1,), (0, 1))
    )

    assert both == pytest.approx((alone + other) / 2)


def test_seeds_are_averaged() -> None:
    both = Scored("ours", {0: {0: [image(10)], 1: [image(0)]}})

    assert bounded(resample(both, (0,)).map50_95)["value"] == pytest.approx(50.0, abs=0.5)


def test_matches_are_kept_as_they_were(tmp_path: Path) -> None:
    matches = (image(3), image(0, score=0.25))

    keep_matches(tmp_path, matches)
    read = read_matches(tmp_path)

    assert [one.scores.tolist() for one in read] == [one.scores.tolist() for one in matches]
    assert [one.hits.tolist() for one in read] == [one.hits.tolist() for one in matches]
    assert read[0].true_ids.tolist() == [0]


def test_goals_are_met_missed_or_not_measured() -> None:
    bounds = {"map50_95": {"value": 1.2, "low": -0.1, "high": 2.0}}

    verdicts = [one["verdict"] for one in judged({"differences": {"ours - none": bounds}})]

    assert verdicts[:3] == [MET, MISSED, UNMEASURED]


def test_a_share_of_no_gap_is_a_missed_goal_with_both_its_parts() -> None:
    """The teacher was measured and does not lead: that is not "not measured"."""
    ours, none = (
        resample(scored(arm, passed), (0, 1)) for arm, passed in (("ours", _OURS), ("none", _NONE))
    )
    worse = resample(scored("teacher", _NONE - 1), (0, 1))
    report = {
        "gap_closed": {"ours": gap_closed(ours, none, worse)},
        "differences": {"ours - none": difference(ours, none)},
        "retention": {"ours": retention(ours, worse)},
    }

    goals = judged(report)

    (goal,) = [one for one in goals if one["goal"].startswith("share of the gap")]
    assert goal["verdict"] == NO_GAP
    assert goal["verdict"].startswith("missed")
    table = tables.goals({"goals": [goal]})
    assert "teacher over no teacher -9.95 [-9.95, -9.95] points" in table
    assert "ours over no teacher +19.90 [+19.90, +19.90] points" in table
    assert "| no gap |" in tables.shares(report)


def test_a_share_of_what_may_be_no_gap_is_not_told() -> None:
    """Measured: ours +0.38 points, the gap +0.09, so 412% of it."""
    gap = {"value": 0.09, "low": -0.58, "high": 0.93}
    share = {"value": 411.83, "low": None, "high": None}
    gain = {"map50_95": {"value": 0.38, "low": -0.14, "high": 0.93}}
    report = {
        "gap_closed": {"ours": {"map50_95": share, "gap_map50_95": gap}},
        "differences": {"ours - none": gain},
        "retention": {"ours": {"map50_95": {"value": 100.5, "low": 99.2, "high": 101.6}}},
    }

    (goal,) = [one for one in judged(report) if one["goal"].startswith("share of the gap")]

    assert goal["verdict"] == NO_GAP
    assert "| not surely a gap |" in tables.shares(report)


def test_the_page_says_first_how_far_the_teacher_leads(tmp_path: Path) -> None:
    plan = _plan_with_two_arms(tmp_path)
    report = write_report(plan, tmp_path / "distill.json")
    gap = {"value": -0.16, "low": -1.1, "high": 0.8}
    closed = {"map50_95": {"value": None, "low": None, "high": None}, "gap_map50_95": gap}

    write_page({**report, "gap_closed": {"ours": closed}}, tmp_path / "p.md", "a.svg", "d.json")

    page = _words(tmp_path / "p.md")
    lead = page.index("The teacher is -0.16 [-1.10, +0.80] points of mAP50-95 above the student")
    assert lead < page.index("share of the gap to the teacher closed")
    assert "chosen from 2 trials a fold where each student has 3." in page
    assert "It does not surely lead" in page


def test_a_gain_of_nothing_is_not_above_it() -> None:
    bounds = {"map50_95": {"value": 1.2, "low": 0.0, "high": 2.0}}

    report = {"differences": {"ours - none": bounds, "ours - builtin": bounds}}
    bound, builtin = judged(report)[1:3]

    assert bound["verdict"] == MISSED
    assert (builtin["verdict"], builtin["low"], builtin["high"]) == (MET, 0.0, 2.0)


@pytest.mark.parametrize(("vnni", "verdict"), [(True, MISSED), (False, NOT_ASKED)])
def test_fast_int8_is_asked_where_the_cpu_has_vnni(vnni: bool, verdict: str) -> None:
    row = {"side_px": 640, "threads": 1, "int8_over_fp32_speedup": 1.1}

    goals = judged({"latency": {"vnni": vnni, "rows": [row]}})

    assert [one["verdict"] for one in goals if "640 px" in one["goal"]] == [verdict]


def test_a_half_done_benchmark_gives_a_page_of_what_is_done(tmp_path: Path) -> None:
    plan = _plan_with_two_arms(tmp_path)

    report = write_report(plan, tmp_path / "distill.json")
    draw(report, tmp_path / "docs" / "images" / "distillation.svg")
    write_page(report, tmp_path / "docs" / "distillation.md", "images/a.svg", "distill.json")

    page = _words(tmp_path / "docs" / "distillation.md")
    assert "No fold has all its arms yet" in page
    assert "none" in report["arms"]
    assert json.loads((tmp_path / "distill.json").read_text())["goals"][0]["verdict"] == UNMEASURED
    assert "| no teacher |" in page
    assert "Not measured yet." in page
    assert "<svg" in (tmp_path / "docs" / "images" / "distillation.svg").read_text()


def test_once_a_fold_is_whole_the_others_do_not_speak(tmp_path: Path) -> None:
    plan = _plan_with_two_arms(tmp_path, folds=(0, 1))
    of_two_arms = replace(plan, wanted=("none",))

    folds = write_report(of_two_arms, tmp_path / "distill.json")
    write_page(folds, tmp_path / "page.md", "a.svg", "distill.json")

    page = _words(tmp_path / "page.md")
    assert folds["folds"] == {"planned": [0, 1, 2], "whole": [0, 1]}
    assert set(folds["arms"]["none"]["folds"]) == {"0", "1"}
    assert "2 of 3 folds finished so far (0, 1)" in page


def test_choices_at_an_edge_are_named(tmp_path: Path) -> None:
    report = write_report(_plan_with_two_arms(tmp_path), tmp_path / "distill.json")
    write_page(report, tmp_path / "page.md", "a.svg", "distill.json")

    assert report["chosen"]["teacher"]["1"] == {
        "choice": arms.TEACHER_SPACE[0],
        "at_edges": ["lr0 0.00025"],
    }
    rows = [row for row in _words(tmp_path / "page.md").split("| |") if "yolov8s | 1 |" in row]
    assert ["at an edge: lr0 0.00025" in row for row in rows] == [True, False]


@pytest.mark.parametrize(("dis", "edges"), [(1.5, ["dis 1.5"]), (6.0, []), (24.0, ["dis 24"])])
def test_the_least_and_the_greatest_that_was_tried_are_edges(dis: float, edges: list[str]) -> None:
    assert arms.at_edges("builtin", {"dis": dis}) == edges


def test_what_nothing_can_lie_beyond_is_no_edge() -> None:
    assert arms.at_edges("none", {"lr0": 0.001, "mosaic": 0.0}) == ["lr0 0.001"]
    assert arms.at_edges("none", {"lr0": 0.0005, "mosaic": 1.0}) == ["lr0 0.0005"]


def test_the_commits_of_the_cells_are_told(tmp_path: Path) -> None:
    plan = _plan_with_two_arms(tmp_path)

    report = write_report(plan, tmp_path / "distill.json")
    write_page(report, tmp_path / "page.md", "a.svg", "distill.json")

    assert set(report["commits_of_cells"]) == {"abc1234"}
    assert report["commits_of_cells"]["abc1234"]["train teacher"] == 6
    assert "at commit abc1234 (measure none, measure teacher, train none, train teacher)" in _words(
        tmp_path / "page.md"
    )


@pytest.mark.parametrize("commit", ["abc1234+", "unknown"])
def test_committed_results_are_of_the_whole_benchmark_by_committed_code(
    tmp_path: Path, commit: str
) -> None:
    plan = _plan_with_two_arms(tmp_path)
    root = tmp_path / "repository"

    whole, part = target_of(plan, root), target_of(replace(plan, only_folds=(1,)), root)
    _finish(plan, plan.cells()[0], {"inner_map50_95": 0.5}, commit=commit)
    dirty = target_of(plan, root)

    assert (whole.result, whole.page, whole.doubts) == (
        root / "bench" / "results" / "distill.json",
        root / "docs" / "distillation.md",
        (),
    )
    assert part.result == dirty.result == plan.store.path / "distill.json"
    assert plan.cells()[0].key in dirty.doubts[0]


def test_another_device_has_files_of_its_own(tmp_path: Path) -> None:
    plan = replace(_plan_with_two_arms(tmp_path), device="cuda")

    assert target_of(plan, tmp_path).page == tmp_path / "docs" / "distillation-cuda.md"


def _words(page: Path) -> str:
    """The page's text, wherever its lines end."""
    return " ".join(page.read_text().split())


def _mixed() -> list[ImageMatches]:
    """Sure of what it finds, less so of what is nothing."""
    return [image(10, score=0.9), image(10, score=0.8), image(0, score=0.5), image(10, score=0.45)]


def _plan_with_two_arms(folder: Path, folds: Sequence[int] = (0, 1, 2)) -> Plan:
    """The teachers and the students without one are measured in some folds, nothing else."""
    all_folds = [Fold(number, ("cell",), (), (), ()) for number in range(3)]
    weights = {"yolov8n.pt": "small", "yolov8s.pt": "large"}
    plan = Plan(Store(folder / "cells"), all_folds, weights)
    figures = {"inner_map50_95": 0.5, "best_epoch": 9, "epochs_run": 14}
    for number in folds:
        for arm in ("none", "teacher"):
            for _, cell in plan.trials(arm, all_folds[number]):
                _finish(plan, cell, figures)
    for one in replace(plan, wanted=("none",)).trained():
        passed = _TEACHER if one.arm == "teacher" else _NONE
        cell = one.measured["fp32"]
        _finish(plan, cell, {"quality": {"map50_95": passed / 10}})
        keep_matches(plan.store.folder(cell.key), tuple(image(passed) for _ in range(4)))
    return plan


def _finish(plan: Plan, cell: Cell, figures: Figures, commit: str = "abc1234") -> None:
    folder = plan.store.describe(cell)
    done = {"figures": figures, "about": {"commit": commit}}
    (folder / "done.json").write_text(json.dumps(done))
