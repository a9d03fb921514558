"""From what images answered to tables: paired differences, goals, and what is not there yet."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.distill.cells import Cell, Figures, Store
from bench.distill.comparing import Scored, bounded, difference, gap_closed, resample
from bench.distill.folds import Fold
from bench.distill.goals import MET, MISSED, UNMEASURED, judged
from bench.distill.measuring import keep_matches, read_matches
from bench.distill.page import write_page
from bench.distill.plan import Plan
from bench.distill.plot import draw
from bench.distill.report import write_report
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
    assert np.isnan(share["map50_95"]["value"])


def test_an_uneven_advantage_has_an_interval_around_it() -> None:
    better = [image(_OURS), image(_TEACHER), image(_NONE), image(_NONE)]
    worse = [image(_NONE) for _ in better]

    found = difference(
        resample(Scored("ours", {0: {0: better}}), (0,)),
        resample(Scored("none", {0: {0: worse}}), (0,)),
    )["map50_95"]

    assert found["low"] < found["value"] < found["high"]


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


def test_a_half_done_benchmark_gives_a_page_of_what_is_done(tmp_path: Path) -> None:
    plan = _plan_with_two_arms(tmp_path)

    report = write_report(plan, tmp_path / "distill.json")
    draw(report, tmp_path / "docs" / "images" / "distillation.svg")
    write_page(report, tmp_path / "docs" / "distillation.md", "images/distillation.svg")

    page = (tmp_path / "docs" / "distillation.md").read_text()
    assert json.loads((tmp_path / "distill.json").read_text())["goals"][0]["verdict"] == UNMEASURED
    assert "| no teacher |" in page
    assert "Not measured yet." in page
    assert "<svg" in (tmp_path / "docs" / "images" / "distillation.svg").read_text()


def _plan_with_two_arms(folder: Path) -> Plan:
    """The teachers and the students without one are measured, nothing else."""
    folds = [Fold(number, ("cell",), (), (), ()) for number in range(3)]
    weights = {"yolov8n.pt": "small", "yolov8s.pt": "large"}
    plan = Plan(Store(folder / "cells"), folds, weights)
    figures = {"inner_map50_95": 0.5, "best_epoch": 9, "epochs_run": 14}
    for fold in folds:
        for arm in ("none", "teacher"):
            for _, cell in plan.trials(arm, fold):
                _finish(plan, cell, figures)
    for one in replace(plan, wanted=("none",)).trained():
        passed = _TEACHER if one.arm == "teacher" else _NONE
        cell = one.measured["fp32"]
        _finish(plan, cell, {"quality": {"map50_95": passed / 10}})
        keep_matches(plan.store.folder(cell.key), tuple(image(passed) for _ in range(4)))
    return plan


def _finish(plan: Plan, cell: Cell, figures: Figures) -> None:
    folder = plan.store.describe(cell)
    (folder / "done.json").write_text(json.dumps({"figures": figures, "about": {}}))
