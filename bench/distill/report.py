"""The results file: what was measured, what it is held against, and everything that was tried."""

import re
from collections import Counter, defaultdict
from pathlib import Path

from bench.distill import arms
from bench.distill.cells import Figures
from bench.distill.comparing import RESAMPLES
from bench.distill.folds import INNER_SHARE, TWINS
from bench.distill.goals import judged
from bench.distill.plan import Plan
from bench.distill.standings import standings
from bench.provenance import provenance
from distill_jobs.files import write_json

_FOLD = re.compile(r"-f\d")  # what comes before it in a cell's name is an arm or a model
_COSTS = ("epochs_run", "best_epoch", "cpu_s_per_epoch", "wall_s_per_epoch", "step_ms", "threads")


def write_report(plan: Plan, result: Path) -> Figures:
    """Write and return the results.

    Args:
        plan: With its finished cells.
        result: The file.
    """
    cells = _cells(plan)
    report: Figures = {
        **provenance("make bench-distill"),
        "load_generator": None,
        "commits_of_cells": _commits(cells),
        "protocol": _protocol(plan),
        "chosen": _chosen(plan),
        **standings(plan),
        "costs": _costs(plan),
        "latency": _latency(plan),
        "cells": cells,
    }
    report = {**report, "goals": judged(report)}
    write_json(result, report)
    return report


def _protocol(plan: Plan) -> Figures:
    return {
        "data": "BCCD, all 364 images",
        "device": plan.device,
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
        "figure": "mean over the folds of each fold's own mAP; pooled: all images in one curve",
        "bootstrap": f"{RESAMPLES} resamples of each fold's images, the same for all arms; 95% "
        "percentile intervals; they hold the trained models fixed",
        "none-long": "as many epochs as ours took time, without early stop; it has no trials of "
        "its own and keeps the choice of none",
    }


def _chosen(plan: Plan) -> Figures:
    """Return each arm's choice in each fold, with what of it lies at an edge of what was tried."""
    return {
        arm: {
            str(fold.number): {"choice": dict(choice), "at_edges": arms.at_edges(arm, choice)}
            for fold in plan.chosen_folds()
            if (choice := plan.choice(arm, fold)) is not None
        }
        for arm in arms.SPACES
    }


def _costs(plan: Plan) -> list[Figures]:
    """Return what each compared training took."""
    return [
        {"arm": one.arm, "fold": one.fold, "seed": one.seed}
        | {name: figures.get(name) for name in (*_COSTS, "gpu", "gpu_peak_mib")}
        for one in plan.trained()
        if (figures := plan.store.figures(one.training.key)) is not None
    ]


def _latency(plan: Plan) -> Figures | None:
    for cell in plan.cells():
        if cell.kind == "latency" and (figures := plan.store.figures(cell.key)) is not None:
            about = next(one for one in plan.store.all_done() if one["key"] == cell.key)["about"]
            return {**figures, "about": about}
    return None


def _cells(plan: Plan) -> list[Figures]:
    """Return everything that was ever run here, in or out of the present plan."""
    planned = {cell.key for cell in plan.cells()}
    trials = _trials(plan)
    return [
        {**one, "planned": one["key"] in planned, "trial": trials.get(one["key"])}
        for one in plan.store.all_done()
    ]


def _commits(cells: list[Figures]) -> dict[str, dict[str, int]]:
    """Return what each commit trained and measured: how many cells, by kind and arm."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for one in cells:
        if one["planned"]:
            what = f"{one['kind']} {_FOLD.split(one['name'])[0]}"
            found[one["about"].get("commit", "unknown")][what] += 1
    return {commit: dict(kinds) for commit, kinds in found.items()}


def _trials(plan: Plan) -> dict[str, Figures]:
    """Return whose trial a cell is, the how many-th, and whether it was chosen, by key."""
    return {
        cell.key: {"arm": arm, "number": number, "chosen": choice == plan.choice(arm, fold)}
        for fold in plan.chosen_folds()
        for arm in arms.SPACES
        for number, (choice, cell) in enumerate(plan.trials(arm, fold))
    }
