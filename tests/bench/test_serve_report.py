"""A whole run's cells, invented, as they are reported."""

from pathlib import Path
from typing import Any

import pytest

from bench.distill.cells import Cell, Figures, Store
from bench.serve.charts import draw
from bench.serve.contestants import Contestant
from bench.serve.loading import Load
from bench.serve.page import write_page
from bench.serve.plan import LINES, Plan
from bench.serve.report import write_report
from bench.serve.scale import FULL
from distill_jobs.files import write_json

SUBJECT = {"material": "m", "images": "i", "code": "c", "protocol": "1"}
# Requests a second at 16 connections: ours is 2.5 times as fast as the best other at FP32.
SPEED = {"ours best": 50.0, "torchserve best": 52.0, "loop best": 55.0, "ours fp32": 21.0}
OTHERS_FP32, OTHERS_BEST = 20.0, 48.0


def speed(name: str) -> float:
    return SPEED.get(name, OTHERS_FP32 if name.endswith("fp32") else OTHERS_BEST)


def load_figures(name: str, load: Load) -> Figures:
    per_s = speed(name)
    return {
        "requests_per_s": per_s,
        "p50_ms": 1000 * load.connections / per_s,
        "p99_ms": 1500 * load.connections / per_s,
        "failed": 0,
        "generator_cpu_ms": 0.5,
        "cpu_ms": {"worker": 20.0},
        "stages_ms": {"decode": 2.5} if name.startswith("ours") else {},
        "memory_mib": {"worker": {"rss": 500.0, "pss": 400.0}, "jvm": {"rss": 200.0, "pss": 190.0}},
    }


def figures(cell: Cell) -> Figures:
    """Return what a cell might have left."""
    inputs = cell.inputs
    if cell.kind == "probe":
        tried = [{"setting": one, "requests_per_s": 9.0} for one in inputs["settings"]]
        return {"variant": "openvino-int8", "chosen": inputs["settings"][1], "tried": tried}
    if cell.kind == "accuracy":
        points = 42.0 if inputs["contestant"]["path"] == "fp32" else 41.8
        return {"images": 128, "map50_95": points, "map50": 60.0, "variants": ["v"]}
    if cell.kind == "cameras":
        most = 10 if inputs["contestant"]["model"] == "n" else 3
        late = 150.0 if inputs["cameras"] <= most else 900.0
        counts = {"cameras": inputs["cameras"], "sent": 9, "answered": 9, "dropped": 0}
        return {**counts, "p50_ms": 50.0, "p99_ms": late}
    contestants = [Contestant.from_json(one) for one in inputs["contestants"]]
    return {"turns": {one.name: turn(one, inputs) for one in contestants}}


def turn(contestant: Contestant, inputs: dict[str, Any]) -> dict[str, Any]:
    loads = [Load(**values) for values in inputs["loads"]]
    return {
        "loads": {load.key: load_figures(contestant.name, load) for load in loads},
        "variant": "openvino-int8",
    }


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Return a plan whose cells are all done."""
    plan = Plan(Store(tmp_path / "cells"), FULL, SUBJECT, LINES, {})
    while left := [one for one in plan.cells() if plan.store.figures(one.key) is None]:
        for cell in left:
            done = {"figures": figures(cell), "about": {"commit": "abc"}}
            write_json(plan.store.describe(cell) / "done.json", done)
    return plan


def test_a_whole_run_is_judged_and_told(plan: Plan, tmp_path: Path) -> None:
    report = write_report(plan, tmp_path / "serve.json")
    charts = draw(report, tmp_path / "images")
    write_page(report, tmp_path / "serving.md", "serve.json", [one.name for one in charts])

    assert report["overhead"]["throughput_of_torchserve"] == pytest.approx(50 / 52, abs=1e-3)
    assert report["overhead"]["p50_added_ms"] == pytest.approx(20 - 1000 / 52, abs=1e-3)
    assert report["peers"]["2a"]["throughput"] == 2.5
    assert report["peers"]["2c"]["best_throughput"] == "torchserve best"
    assert report["accuracy"]["lost_points"] == pytest.approx(0.2)
    assert (report["cameras"]["yolov8n"]["held"], report["cameras"]["yolov8s"]["held"]) == (10, 3)
    assert report["memory"]["4 workers"]["rss_mib"] == 700.0
    verdicts = [goal["verdict"] for goal in report["goals"]]
    assert verdicts.count("missed") == 1  # 2c: TorchServe alone was faster
    assert "not measured" not in verdicts
    page = (tmp_path / "serving.md").read_text()
    assert "**missed**" in page
    for text in ("Cameras held", "Growth: shadow", "| decode |", "4 workers", "ours best 2 arms"):
        assert text in page
    assert all(chart.read_bytes().startswith(b"\x89PNG") for chart in charts)
    assert len(charts) == 2


def test_what_was_not_asked_for_is_absent_and_no_verdict(plan: Plan, tmp_path: Path) -> None:
    part = Plan(plan.store, FULL, SUBJECT, ("overhead",), {})

    report = write_report(part, tmp_path / "serve.json")
    write_page(report, tmp_path / "serving.md", "serve.json", [])

    assert report["peers"] is None
    verdicts = {goal["line"]: goal["verdict"] for goal in report["goals"]}
    assert verdicts["2a"] == "not measured"
    assert draw(report, tmp_path) == []
