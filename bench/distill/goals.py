"""What the benchmark was to show, and whether it does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.distill.cells import Figures

MET, MISSED, UNMEASURED = "met", "missed", "not measured"
NOT_ASKED = "not asked of a CPU without VNNI"
NO_GAP = "missed: cannot be judged as set, the gap is not surely positive"


@dataclass(frozen=True)
class Goal:
    """One goal.

    Attributes:
        text: As the issue has it.
        least: What must be reached.
        read: What a report measured: a figure with its interval, or a bare one; KeyError or
            TypeError where it is not there. Its value is None where there is no gap to share.
        above: Whether `least` itself does not do.
        vnni: Whether it is asked of CPUs with VNNI alone.
        parts: The figures that a share is made of, in words: shown where it has no value.
    """

    text: str
    least: float
    read: Callable[[Figures], Any]
    above: bool = False
    vnni: bool = False
    parts: Callable[[Figures], Figures] = lambda _: {}


def _gain(first: str, second: str) -> Callable[[Figures], Any]:
    return lambda report: report["differences"][f"{first} - {second}"]["map50_95"]


def _share(report: Figures) -> Figures:
    """Return the share of the gap that ours closes; None where there may be no gap.

    A share of a gap that the resamples do not tell from none is any number at all.
    """
    closed: Figures = report["gap_closed"]["ours"]
    nothing: Figures = {"value": None, "low": None, "high": None}
    return closed["map50_95"] if (closed["gap_map50_95"]["low"] or 0) > 0 else nothing


def _gap_parts(report: Figures) -> Figures:
    return {
        "teacher over no teacher": report["gap_closed"]["ours"]["gap_map50_95"],
        "ours over no teacher": _gain("ours", "none")(report),
    }


GOALS: Sequence[Goal] = (
    Goal("ours over no teacher, mAP50-95 points, at least 1.0", 1.0, _gain("ours", "none")),
    Goal(
        "its 95% lower bound above 0",
        0.0,
        lambda report: _gain("ours", "none")(report)["low"],
        above=True,
    ),
    Goal(
        "ours over ultralytics' own distillation, points, at least 0.5",
        0.5,
        _gain("ours", "builtin"),
    ),
    Goal(
        "share of the gap to the teacher closed, %, at least 40",
        40.0,
        _share,
        parts=_gap_parts,
    ),
    Goal("aim: ours over no teacher, points, at least 2.5", 2.5, _gain("ours", "none")),
    Goal("aim: ours over ultralytics' own, points, at least 1.0", 1.0, _gain("ours", "builtin")),
    Goal(
        "aim: % of the teacher's mAP50-95 kept, at least 97",
        97.0,
        lambda report: report["retention"]["ours"]["map50_95"],
    ),
    Goal("INT8 against FP32, points, not below -0.5", -0.5, _gain("ours-int8", "ours")),
    Goal(
        "INT8 over FP32 in ONNX Runtime, times faster, at least 1.6 (one thread, 640 px)",
        1.6,
        lambda report: _row(report, 640, 1)["int8_over_fp32_speedup"],
        vnni=True,
    ),
    Goal(
        "INT8 over FP32 in ONNX Runtime, times faster, at least 1.6 (one thread, 320 px)",
        1.6,
        lambda report: _row(report, 320, 1)["int8_over_fp32_speedup"],
        vnni=True,
    ),
    Goal(
        "student INT8 ONNX over teacher PyTorch, times faster, at least 8 (one thread, 320 px)",
        8.0,
        lambda report: _row(report, 320, 1)["student_int8_over_teacher_speedup"],
    ),
    Goal(
        "teacher's FP32 bytes over the student's INT8 ONNX, at least 10",
        10.0,
        lambda report: (
            report["latency"]["bytes"]["teacher_fp32"]
            / report["latency"]["bytes"]["onnx_by_side_px"]["320"]["student_int8_onnx"]
        ),
    ),
)


def judged(report: Figures) -> list[Figures]:
    """Return each goal with what was measured, its interval, and whether the value met it."""
    return [_judge(goal, report) for goal in GOALS]


def _judge(goal: Goal, report: Figures) -> Figures:
    try:
        found = goal.read(report)
    except (KeyError, TypeError):
        return {"goal": goal.text, "measured": None, "verdict": UNMEASURED}
    bounds = found if isinstance(found, dict) else {"value": found, "low": None, "high": None}
    if bounds["value"] is None:
        parts = goal.parts(report)
        return {"goal": goal.text, "measured": None, "verdict": NO_GAP, "parts": parts}
    value = round(float(bounds["value"]), 4)
    return {
        "goal": goal.text,
        "measured": value,
        "low": bounds["low"],
        "high": bounds["high"],
        "verdict": _verdict(goal, value, report),
    }


def _verdict(goal: Goal, value: float, report: Figures) -> str:
    if goal.vnni and not report["latency"]["vnni"]:
        return NOT_ASKED
    met = value > goal.least if goal.above else value >= goal.least
    return MET if met else MISSED


def _row(report: Figures, side_px: int, threads: int) -> Figures:
    for row in report["latency"]["rows"]:
        if (row["side_px"], row["threads"]) == (side_px, threads):
            found: Figures = row
            return found
    raise KeyError(side_px)
