import math
import re

import pytest

from distill_jobs.tracking.chart import Series, line_chart, nice_ticks


@pytest.mark.parametrize(
    ("low", "high", "whole", "ticks"),
    [
        (0.0, 1.0, False, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1, 3, True, [1, 2, 3]),
        (1, 100, True, [0, 20, 40, 60, 80, 100]),
        (-0.031, 0.012, False, [-0.04, -0.03, -0.02, -0.01, 0, 0.01, 0.02]),
        (5, 5, True, [4, 5, 6]),
    ],
)
def test_ticks_are_round_and_enclose_the_range(low, high, whole, ticks):
    found = nice_ticks(low, high, whole=whole)

    assert found == pytest.approx(ticks)
    assert found[0] <= low <= high <= found[-1]


@pytest.mark.parametrize("value", [0.0, 1e-9, -3.0, 1e12])
def test_a_single_value_gets_room_on_both_sides(value):
    ticks = nice_ticks(value, value)

    assert ticks[0] < value < ticks[-1]
    assert len(ticks) <= 8


def test_a_line_is_drawn_where_its_values_are():
    svg = line_chart("mAP", [Series("student", (1, 2, 3), (0.0, 0.5, 1.0))])

    ((path),) = re.findall(r'points="([^"]+)"', svg)
    points = [tuple(map(float, point.split(","))) for point in path.split()]
    assert points == [(48.0, 192.0), (228.0, 102.0), (408.0, 12.0)]
    assert "<title>student, 2: 0.5</title>" in svg


def test_a_missing_value_interrupts_the_line():
    svg = line_chart("loss", [Series("train", (1, 2, 3, 4), (1.0, 2.0, math.nan, 3.0))])

    assert svg.count("<polyline") == 2
    assert svg.count("<circle") == 3
    assert "nan" not in svg


def test_names_are_escaped():
    svg = line_chart('"<b>"', [Series("<script>", (1,), (1.0,))], x_label="a<b")

    assert "<script>" not in svg
    assert "&lt;script&gt;" in svg


def test_nothing_finite_is_said_and_not_drawn():
    assert "No finite value" in line_chart("loss", [Series("x", (1,), (math.inf,))])
