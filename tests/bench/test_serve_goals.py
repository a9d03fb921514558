from typing import Any

import pytest

from bench.serve.comparisons import LONE, PRESSED, added, against_best, failed_requests, ratio
from bench.serve.goals import GOALS, MET, MISSED, UNMEASURED, judged

REPORT: dict[str, Any] = {
    "overhead": {"throughput_of_torchserve": 0.95, "p50_added_ms": 3.0, "throughput_of_loop": 0.91},
    "accuracy": {"lost_points": 0.4},
    "peers": {
        "2a": {"throughput": 2.1, "p50": 0.5, "p99": 0.6},
        "2b": {"throughput": 1.02},
        "2c": {"throughput": 1.0},
    },
    "failed_requests": 0,
}


def verdicts(report: dict[str, Any]) -> list[str]:
    return [one["verdict"] for one in judged(report)]


def test_goals_are_met_at_their_limits() -> None:
    assert verdicts(REPORT) == [MET] * len(GOALS)


def test_each_goal_can_be_missed() -> None:
    worse = {
        "overhead": {
            "throughput_of_torchserve": 0.94,
            "p50_added_ms": 3.1,
            "throughput_of_loop": 0.89,
        },
        "accuracy": {"lost_points": 0.51},
        "peers": {
            "2a": {"throughput": 1.9, "p50": 1.1, "p99": 1.1},
            "2b": {"throughput": 0.99},
            "2c": {"throughput": 0.99},
        },
        "failed_requests": 1,
    }

    assert verdicts(worse) == [MISSED] * len(GOALS)


def test_speed_at_lost_accuracy_meets_nothing() -> None:
    found = judged({**REPORT, "accuracy": {"lost_points": 0.6}})

    lines = {one["line"] for one in found if one["verdict"] == MISSED}
    assert lines == {"2a"}
    assert all(one["verdict"] == MISSED for one in found if one["line"] == "2a")


def test_what_was_not_measured_is_no_verdict() -> None:
    empty = {"overhead": None, "accuracy": {"lost_points": None}, "peers": None}

    assert verdicts({**empty, "failed_requests": None}) == [UNMEASURED] * len(GOALS)


def test_speed_without_a_measured_accuracy_is_no_verdict() -> None:
    found = judged({**REPORT, "accuracy": {"lost_points": None}})

    assert {one["verdict"] for one in found if one["line"] == "2a"} == {UNMEASURED}


def turn(pressed: float, lone_ms: float, failed: int = 0) -> dict[str, Any]:
    loads = {
        PRESSED: {"requests_per_s": pressed, "p50_ms": 1.0, "p99_ms": 2.0, "failed": failed},
        LONE: {"requests_per_s": 1.0, "p50_ms": lone_ms, "p99_ms": 2 * lone_ms, "failed": 0},
    }
    return {"loads": loads}


ROUNDS = {
    0: {
        "turns": {"ours best": turn(40, 20), "ray fp32": turn(10, 40), "triton fp32": turn(20, 50)}
    },
    1: {
        "turns": {"ours best": turn(90, 10), "ray fp32": turn(20, 30), "triton fp32": turn(30, 40)}
    },
    2: {"turns": {"ours best": turn(50, 15, failed=2), "triton fp32": turn(20, 60, failed=1)}},
}


def test_ours_is_held_against_whoever_is_best_in_each_figure() -> None:
    found = against_best(ROUNDS, "ours best", ["ray fp32", "triton fp32"])

    assert (found["best_throughput"], found["throughput"]) == ("triton fp32", 2.5)
    assert found["best_p50"] == "ray fp32"
    assert found["p50"] == pytest.approx((20 / 40 + 10 / 30) / 2, abs=1e-3)


def test_ratios_and_differences_are_those_of_rounds() -> None:
    assert ratio(ROUNDS, "ours best", "triton fp32", PRESSED, "requests_per_s") == 2.5
    assert added(ROUNDS, "ours best", "triton fp32", LONE, "p50_ms") == -30.0


def test_failed_requests_are_counted_by_server() -> None:
    assert failed_requests(ROUNDS, "ours") == 2
    assert failed_requests(ROUNDS, "triton") == 1
