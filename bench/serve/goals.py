"""What the benchmark was to show, and whether it does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.distill.cells import Figures

MOST_LOST_POINTS = 0.5
MET, MISSED, UNMEASURED = "met", "missed", "not measured"


@dataclass(frozen=True)
class Goal:
    """One goal.

    Attributes:
        line: Of the issue.
        text: As the issue has it.
        limit: What must be reached.
        unit: Of the limit and of what was measured.
        read: Reads what was measured out of a report; None, KeyError or TypeError: nothing was.
        at_most: Whether the limit is an upper one.
        at_equal_accuracy: Whether it is missed, however fast, where accuracy is lost.
    """

    line: str
    text: str
    limit: float
    unit: str
    read: Callable[[Figures], Any]
    at_most: bool = False
    at_equal_accuracy: bool = False

    def judged(self, report: Figures) -> Figures:
        """Return the goal with what was measured and the verdict."""
        said = {"line": self.line, "goal": self.text, "limit": self.limit, "unit": self.unit}
        try:
            measured = self.read(report)
        except (KeyError, TypeError):
            measured = None
        lost = report.get("accuracy", {}).get("lost_points") if self.at_equal_accuracy else 0.0
        return said | {"measured": measured, "verdict": self._verdict(measured, lost)}

    def _verdict(self, measured: float | None, lost_points: float | None) -> str:
        if measured is None or lost_points is None:
            return UNMEASURED
        if lost_points > MOST_LOST_POINTS:
            return MISSED
        within = measured <= self.limit if self.at_most else measured >= self.limit
        return MET if within else MISSED


GOALS: tuple[Goal, ...] = (
    Goal(
        "1",
        "gateway and TorchServe, of TorchServe alone, requests/s at 16 connections",
        0.95,
        "times",
        lambda report: report["overhead"]["throughput_of_torchserve"],
    ),
    Goal(
        "1",
        "what the gateway adds to a lone request, p50",
        3.0,
        "ms",
        lambda report: report["overhead"]["p50_added_ms"],
        at_most=True,
    ),
    Goal(
        "1",
        "whole stack, of the bare loop, images/s at 16 connections (aim 0.95)",
        0.90,
        "times",
        lambda report: report["overhead"]["throughput_of_loop"],
    ),
    Goal(
        "2a",
        "accuracy lost at our best, mAP50-95 on the COCO val half through the server",
        MOST_LOST_POINTS,
        "points",
        lambda report: report["accuracy"]["lost_points"],
        at_most=True,
    ),
    Goal(
        "2a",
        "ours at its best, of the best other at FP32, requests/s at 16 connections",
        2.0,
        "times",
        lambda report: report["peers"]["2a"]["throughput"],
        at_equal_accuracy=True,
    ),
    Goal(
        "2a",
        "p50 of a lone request, of the lowest other's",
        1.0,
        "times",
        lambda report: report["peers"]["2a"]["p50"],
        at_equal_accuracy=True,
        at_most=True,
    ),
    Goal(
        "2a",
        "p99 of a lone request, of the lowest other's",
        1.0,
        "times",
        lambda report: report["peers"]["2a"]["p99"],
        at_equal_accuracy=True,
        at_most=True,
    ),
    Goal(
        "2b",
        "ours at FP32, of the best other at FP32, requests/s at 16 connections",
        1.0,
        "times",
        lambda report: report["peers"]["2b"]["throughput"],
    ),
    Goal(
        "2c",
        "ours at its best, of the best other with our best runtime, at 16 connections",
        1.0,
        "times",
        lambda report: report["peers"]["2c"]["throughput"],
    ),
    Goal(
        "2",
        "timed requests that ours did not answer right",
        0.0,
        "requests",
        lambda report: report["failed_requests"],
        at_most=True,
    ),
)


def judged(report: Figures, goals: Sequence[Goal] = GOALS) -> list[Figures]:
    """Return each goal with its verdict."""
    return [goal.judged(report) for goal in goals]
