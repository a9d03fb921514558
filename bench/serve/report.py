"""The results file: what was measured, what it is held against, and every cell there ever was."""

from collections import Counter
from pathlib import Path
from typing import Any

from bench.distill.cells import Cell, Figures
from bench.provenance import provenance
from bench.serve.cameras import P99_LIMIT_MS
from bench.serve.comparisons import (
    LONE,
    PRESSED,
    added,
    against_best,
    failed_requests,
    medians,
    ratio,
)
from bench.serve.contestants import BEST, FP32, OURS, PEERS, TORCHSERVE, Contestant, of_line_2
from bench.serve.doing import COMMAND
from bench.serve.goals import judged
from bench.serve.plan import Plan, figures_of
from distill_jobs.files import write_json

_OURS_BEST, _OURS_FP32 = Contestant(OURS, BEST).name, Contestant(OURS, FP32).name
_TORCHSERVE_BEST = Contestant(TORCHSERVE, BEST).name
_GROWTH = ("connections", "sizes", "models", "arms", "shadow")


def write_report(plan: Plan, result: Path) -> Figures:
    """Write and return the results.

    Args:
        plan: With its finished cells.
        result: The file.
    """
    planned = {cell.key for cell in plan.cells()}
    everything = [{**one, "planned": one["key"] in planned} for one in plan.store.all_done()]
    commits = Counter(one["about"]["commit"] for one in everything if one["planned"])
    report: Figures = {
        **provenance(COMMAND),
        "load_generator": "a process of its own on the same cores; its CPU is reported",
        "gpu_measured": False,
        "commits_of_cells": dict(commits),
        "scale": plan.scale.name,
        "subject": plan.subject,
        "variant": plan.best,
        "absent": plan.absent,
        "settings": _settings(plan),
        "overhead": _overhead(plan),
        "accuracy": _accuracy(plan),
        "peers": _peers(plan),
        "cameras": _cameras(plan),
        "growth": _growth(plan),
        "memory": _memory(plan),
        "failed_requests": _failed(plan),
        "cells": everything,
    }
    report = {**report, "goals": judged(report)}
    write_json(result, report)
    return report


def _settings(plan: Plan) -> Figures:
    """Return each contestant's probe: what was tried and which setting was kept."""
    found = {}
    for one in of_line_2():
        figures = plan.store.figures(plan.probe(one).key)
        if figures is not None:
            found[one.name] = figures
    return found


def _rounds(plan: Plan, cells: list[Cell]) -> dict[int, Figures]:
    return {int(cell.inputs["round"]): figures for cell, figures in figures_of(plan, cells)}


def _of(plan: Plan, line: str) -> dict[int, Figures]:
    """Return a line's rounds, none where it was not asked for or cannot be named yet."""
    if plan.best is None or line not in plan.lines:
        return {}
    cells = plan.overhead() if line == "overhead" else plan.peers()
    return _rounds(plan, [cell for cell in cells if cell.kind == "round"])


def _overhead(plan: Plan) -> Figures | None:
    rounds = _of(plan, "overhead")
    if not rounds:
        return None
    loop = Contestant("loop", BEST).name
    return {
        "rounds": len(rounds),
        "contestants": medians(rounds),
        "throughput_of_torchserve": ratio(
            rounds, _OURS_BEST, _TORCHSERVE_BEST, PRESSED, "requests_per_s"
        ),
        "p50_added_ms": added(rounds, _OURS_BEST, _TORCHSERVE_BEST, LONE, "p50_ms"),
        "p99_added_ms": added(rounds, _OURS_BEST, _TORCHSERVE_BEST, LONE, "p99_ms"),
        "throughput_of_loop": ratio(rounds, _OURS_BEST, loop, PRESSED, "requests_per_s"),
    }


def _accuracy(plan: Plan) -> Figures:
    found: dict[str, Any] = {}
    if plan.best is not None and "peers" in plan.lines:
        cells = [cell for cell in plan.peers() if cell.kind == "accuracy"]
        for cell, figures in figures_of(plan, cells):
            found[Contestant.from_json(cell.inputs["contestant"]).name] = figures
    both = [found.get(name, {}).get("map50_95") for name in (_OURS_FP32, _OURS_BEST)]
    known = None not in both
    return {**found, "lost_points": round(both[0] - both[1], 3) if known else None}


def _peers(plan: Plan) -> Figures | None:
    rounds = _of(plan, "peers")
    if not rounds:
        return None
    present = [one for one in (TORCHSERVE, *PEERS) if one not in plan.absent]
    at_fp32 = [Contestant(one, FP32).name for one in present]
    at_best = [Contestant(one, BEST).name for one in present]
    return {
        "rounds": len(rounds),
        "contestants": medians(rounds),
        "2a": against_best(rounds, _OURS_BEST, at_fp32),
        "2b": against_best(rounds, _OURS_FP32, at_fp32),
        "2c": against_best(rounds, _OURS_BEST, at_best),
    }


def _cameras(plan: Plan) -> Figures | None:
    if plan.best is None or "cameras" not in plan.lines:
        return None
    found: Figures = {"p99_limit_ms": P99_LIMIT_MS}
    for model in ("n", "s"):
        steps = [figures for _, figures in figures_of(plan, plan.camera_cells(model))]
        steps.sort(key=lambda one: int(one["cameras"]))
        found[f"yolov8{model}"] = {"held": plan.cameras_held(model), "steps": steps}
    student, teacher = (found[f"yolov8{model}"]["held"] for model in ("n", "s"))
    found["student_of_teacher"] = round(student / teacher, 3) if student and teacher else None
    return found


def _growth(plan: Plan) -> Figures | None:
    if plan.best is None or "growth" not in plan.lines:
        return None
    cells = plan.growth()
    found = {}
    for part in _GROWTH:
        rounds = _rounds(plan, [cell for cell in cells if cell.inputs["part"] == part])
        if rounds:
            found[part] = {"rounds": len(rounds), "contestants": medians(rounds)}
    return found or None


def _memory(plan: Plan) -> Figures | None:
    if plan.best is None or "memory" not in plan.lines:
        return None
    found = {}
    for cell, figures in figures_of(plan, plan.memory()):
        (one,) = figures["turns"].values()
        (load,) = one["loads"].values()
        groups = load["memory_mib"]
        found[cell.inputs["part"]] = {
            "groups": groups,
            "rss_mib": round(sum(group["rss"] for group in groups.values()), 1),
            "pss_mib": round(sum(group["pss"] for group in groups.values()), 1),
            "variant": one["variant"],
        }
    return found or None


def _failed(plan: Plan) -> int | None:
    rounds = [_of(plan, line) for line in ("overhead", "peers")]
    return sum(failed_requests(one, OURS) for one in rounds) if any(rounds) else None
