"""How far scores can be believed: by hand, and drawn."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from test_thresholds import scored

from distill_jobs.release.bootstrap import Bounded
from distill_jobs.release.calibration import Calibration, calibrate
from distill_jobs.release.plots import Bar, plot_bars, plot_reliability


def test_a_hand_reckoned_error() -> None:
    # Bin 0.9 to 1: scores 0.92 and 0.98, one right: |0.5 - 0.95| = 0.45, two detections.
    # Bin 0.2 to 0.3: 0.25, right: |1 - 0.25| = 0.75, one detection. Below 0.05 none counts.
    matches = [scored((0.98, True), (0.92, False), (0.25, True), (0.04, False))]

    found = calibrate(matches)

    assert found.detections == 3
    assert found.error == pytest.approx((2 * 0.45 + 1 * 0.75) / 3)
    assert [(one.low, one.high, one.detections) for one in found.bins] == [
        (pytest.approx(0.2), pytest.approx(0.3), 1),
        (pytest.approx(0.9), pytest.approx(1.0), 2),
    ]
    assert found.bins[1].precision == 0.5


def test_scores_that_mean_what_they_say_have_no_error() -> None:
    generator = np.random.default_rng(0)
    scores = generator.random(20_000)
    right = generator.random(20_000) < scores
    honest = [scored(*zip(scores.tolist(), right.tolist(), strict=True))]
    boastful = [scored(*zip(np.sqrt(scores).tolist(), right.tolist(), strict=True))]

    assert calibrate(honest).error < 0.02
    # The mean of sqrt(s) - s over 0 to 1 is 1/6.
    assert calibrate(boastful).error == pytest.approx(1 / 6, abs=0.02)


def test_without_a_detection_there_is_none() -> None:
    assert calibrate([scored()]) == calibrate([]) == Calibration(0.0, 0, ())


def test_a_score_of_one_is_in_the_last_bin() -> None:
    (only,) = calibrate([scored((1.0, True))]).bins

    assert (only.high, only.detections) == (1.0, 1)


def test_the_plots_show_both_models(tmp_path: Path) -> None:
    student = calibrate([scored((0.9, True), (0.3, False))])
    teacher = calibrate([scored((0.8, True), (0.2, False))])
    names = ("small-1.0", "big-1.0")

    plot_reliability(student, None, tmp_path / "one.png", names=names)
    plot_reliability(student, teacher, tmp_path / "two.png", names=names)
    bars = [Bar("cat", Bounded(0.5, 0.4, 0.6), Bounded(0.7, 0.6, 0.8))]
    plot_bars(bars, tmp_path / "bars.png", title="AP50-95 by class", names=names)

    blue, orange = (220, 119, 31), (30, 138, 224)  # BGR, of student and teacher
    colours = {
        name: {tuple(one) for one in np.unique(_pixels(tmp_path / name), axis=0).tolist()}
        for name in ("one.png", "two.png", "bars.png")
    }
    assert blue in colours["one.png"]
    assert orange not in colours["one.png"]
    assert {blue, orange} <= colours["two.png"]
    assert {blue, orange} <= colours["bars.png"]


def test_a_figure_without_bounds_has_no_whisker(tmp_path: Path) -> None:
    for name, bounded in (("sure", Bounded.exact(0.5)), ("unsure", Bounded.unsure(0.5))):
        plot_bars(
            [Bar("cat", bounded, None)], tmp_path / f"{name}.png", title="AP", names=("a", "b")
        )

    grey, blue = [85, 85, 85], [220, 119, 31]  # BGR, of whiskers and bars
    found = {
        (name, str(colour)): int((_pixels(tmp_path / f"{name}.png") == colour).all(axis=1).sum())
        for name in ("sure", "unsure")
        for colour in (grey, blue)
    }
    assert found["sure", str(grey)] > found["unsure", str(grey)]
    assert found["unsure", str(blue)] > 10_000


def _pixels(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path))
    assert picture is not None
    assert picture.shape[0] > 300
    return picture.reshape(-1, 3)
