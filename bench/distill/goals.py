"""What the benchmark was to show, and whether it does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.distill.cells import Figures

MET, MISSED, UNMEASURED = "met", "missed", "not measured"


@dataclass(frozen=True)
class Goal:
    """One goal.

    Attributes:
        text: As the issue has it.
        least: What must be reached.
        read: The measured value of a report; KeyError or TypeError where it is not there.
    """

    text: str
    least: float
    read: Callable[[Figures], float]


GOALS: Sequence[Goal] = (
    Goal(
        "ours over no teacher, mAP50-95 points, at least 1.0",
        1.0,
        lambda report: report["differences"]["ours - none"]["map50_95"]["value"],
    ),
    Goal(
        "its 95% lower bound above 0",
        0.0,
        lambda report: report["differences"]["ours - none"]["map50_95"]["low"],
    ),
    Goal(
        "ours over ultralytics' own distillation, points, at least 0.5",
        0.5,
        lambda report: report["differences"]["ours - builtin"]["map50_95"]["value"],
    ),
    Goal(
        "share of the gap to the teacher closed, %, at least 40",
        40.0,
        lambda report: report["gap_closed"]["ours"]["map50_95"]["value"],
    ),
    Goal(
        "aim: ours over no teacher, points, at least 2.5",
        2.5,
        lambda report: report["differences"]["ours - none"]["map50_95"]["value"],
    ),
    Goal(
        "aim: ours over ultralytics' own, points, at least 1.0",
        1.0,
        lambda report: report["differences"]["ours - builtin"]["map50_95"]["value"],
    ),
    Goal(
        "aim: % of the teacher's mAP50-95 kept, at least 97",
        97.0,
        lambda report: report["retention"]["ours"]["map50_95"]["value"],
    ),
    Goal(
        "INT8 against FP32, points, not below -0.5",
        -0.5,
        lambda report: report["differences"]["ours-int8 - ours"]["map50_95"]["value"],
    ),
    Goal(
        "INT8 over FP32 in ONNX Runtime, times faster, at least 1.6 (one thread, 640 px)",
        1.6,
        lambda report: _row(report, 640, 1)["int8_over_fp32_speedup"],
    ),
    Goal(
        "INT8 over FP32 in ONNX Runtime, times faster, at least 1.6 (one thread, 320 px)",
        1.6,
        lambda report: _row(report, 320, 1)["int8_over_fp32_speedup"],
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
    """Return each goal with what was measured and whether it was met."""
    return [_judge(goal, report) for goal in GOALS]


def _judge(goal: Goal, report: Figures) -> Figures:
    try:
        value = float(goal.read(report))
    except (KeyError, TypeError):
        return {"goal": goal.text, "measured": None, "verdict": UNMEASURED}
    verdict = MET if value >= goal.least else MISSED
    return {"goal": goal.text, "measured": round(value, 2), "verdict": verdict}


def _row(report: Figures, side_px: int, threads: int) -> Figures:
    for row in report["latency"]["rows"]:
        if (row["side_px"], row["threads"]) == (side_px, threads):
            found: Figures = row
            return found
    raise KeyError(side_px)
