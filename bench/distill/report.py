"""The results file: what was measured, what it is held against, and everything that was tried."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from bench.distill import arms
from bench.distill.cells import Figures
from bench.distill.comparing import (
    RESAMPLES,
    Resampled,
    Scored,
    bounded,
    difference,
    gap_closed,
    resample,
    retention,
)
from bench.distill.folds import INNER_SHARE, TWINS
from bench.distill.goals import judged
from bench.distill.measuring import read_matches
from bench.distill.plan import Plan
from bench.provenance import provenance
from distill_jobs.files import write_json

# Which arm is held against which, on the folds that both have.
_PAIRS = (
    ("ours", "none"),
    ("ours", "none-long"),
    ("ours", "builtin"),
    ("builtin", "none"),
    ("none-long", "none"),
    ("ours-int8", "ours"),
    ("ours-small", "none"),
    ("engine-check", "none"),
)
_STUDENTS = ("none", "none-long", "builtin", "ours", "ours-int8", "ours-small", "ours-small-int8")


def write_report(plan: Plan, result: Path) -> Figures:
    """Write and return the results.

    Args:
        plan: With its finished cells.
        result: The file.
    """
    report: Figures = {
        **provenance("make bench-distill"),
        "load_generator": None,
        "protocol": _protocol(plan),
        "chosen": {
            arm: {str(fold.number): plan.choice(arm, fold) for fold in plan.chosen_folds()}
            for arm in arms.SPACES
        },
        **_comparisons(plan),
        "latency": _latency(plan),
        "cells": _cells(plan),
    }
    report = {**report, "goals": judged(report)}
    write_json(result, report)
    return report


def _protocol(plan: Plan) -> Figures:
    return {
        "data": "BCCD, all 364 images",
        "folds": [
            {part: len(getattr(fold, part)) for part in ("train", "inner", "held_out")}
            | {"digest": fold.digest}
            for fold in plan.folds
        ],
        "twins_kept_together": dict(TWINS),
        "inner_share": f"1 of {INNER_SHARE} training images chooses epochs and trials",
        "image_side_px": arms.IMAGE_SIDE_PX,
        "seeds": list(plan.seeds),
        "weights_sha256": plan.weights,
        "shared_arguments": arms.SHARED,
        "epochs": arms.EPOCHS,
        "patience": arms.PATIENCE,
        "trials": {
            "an_arm_and_fold": arms.TRIALS,
            "judged_by": "mAP50-95 of the fold's inner part; its held-out part plays no role",
            "spaces": {arm: list(space) for arm, space in arms.SPACES.items()},
        },
        "tried_and_dropped": list(arms.DROPPED),
        "bootstrap": f"{RESAMPLES} resamples of images, stratified by fold, the same for all arms; "
        "95% percentile intervals; they hold the trained models fixed",
        "none-long": "as many epochs as ours took processor time at one thread, without early stop",
    }


def _comparisons(plan: Plan) -> Figures:
    pool = _Pool(_scored(plan))
    return {
        "arms": {arm: _arm(pool, arm) for arm in pool.scored},
        "differences": {
            f"{first} - {second}": {
                "folds": list(folds),
                **difference(pool.on(first, folds), pool.on(second, folds)),
            }
            for first, second in _PAIRS
            if (folds := pool.shared(first, second))
        },
        "retention": {
            arm: retention(pool.on(arm, folds), pool.on("teacher", folds))
            for arm in _STUDENTS
            if (folds := pool.shared(arm, "teacher"))
        },
        "gap_closed": {
            arm: gap_closed(*(pool.on(one, folds) for one in (arm, "none", "teacher")))
            for arm in _STUDENTS[1:]
            if (folds := pool.shared(arm, "none", "teacher"))
        },
    }


class _Pool:
    """Every arm's figures on the folds that it shares with those it is held against."""

    def __init__(self, scored: dict[str, Scored]) -> None:
        self.scored = scored
        self._known: dict[tuple[str, tuple[int, ...]], Resampled] = {}

    def shared(self, *arms_: str) -> tuple[int, ...]:
        """Return the folds that all of these arms have; none where an arm is missing."""
        if any(arm not in self.scored for arm in arms_):
            return ()
        return tuple(sorted(set.intersection(*(set(self.scored[arm].folds) for arm in arms_))))

    def on(self, arm: str, folds: tuple[int, ...]) -> Resampled:
        """Return an arm's figures on some folds."""
        if (arm, folds) not in self._known:
            self._known[arm, folds] = resample(self.scored[arm], folds)
        return self._known[arm, folds]


def _arm(pool: _Pool, arm: str) -> Figures:
    folds = pool.shared(arm)
    whole = pool.on(arm, folds)
    alone = {fold: pool.on(arm, (fold,)).map50_95[0] for fold in folds}
    return {
        "map50_95": bounded(whole.map50_95),
        "map50": bounded(whole.map50),
        "folds": {str(fold): round(100 * float(value), 4) for fold, value in alone.items()},
        "seeds": list(pool.scored[arm].seeds()),
    }


def _scored(plan: Plan) -> dict[str, Scored]:
    """Read what every finished model answered; an arm's reduced precision is an arm of its own."""
    found: dict[str, dict[int, dict[int, Any]]] = defaultdict(lambda: defaultdict(dict))
    for one in plan.trained():
        for precision, cell in one.measured.items():
            if plan.store.figures(cell.key) is None:
                continue
            name = one.arm if precision == "fp32" else f"{one.arm}-{precision}"
            found[name][one.fold][one.seed] = read_matches(plan.store.folder(cell.key))
    return {name: Scored(name, folds) for name, folds in found.items()}


def _latency(plan: Plan) -> Figures | None:
    for cell in plan.cells():
        if cell.kind == "latency" and (figures := plan.store.figures(cell.key)) is not None:
            about = next(one for one in plan.store.all_done() if one["key"] == cell.key)["about"]
            return {**figures, "about": about}
    return None


def _cells(plan: Plan) -> list[Figures]:
    """Return everything that was ever run here, in or out of the present plan."""
    planned = {cell.key for cell in plan.cells()}
    trials = {
        cell.key: arm
        for fold in plan.chosen_folds()
        for arm in arms.SPACES
        for _, cell in plan.trials(arm, fold)
    }
    return [
        {**one, "planned": one["key"] in planned, "trial_of": trials.get(one["key"])}
        for one in plan.store.all_done()
    ]
