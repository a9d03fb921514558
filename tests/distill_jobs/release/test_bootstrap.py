"""Bounds from images drawn again and again."""

import numpy as np
import pytest
from test_average_precision import image, random_images

from distill_jobs.release.bootstrap import Bounded, Precisions, draw, interval


def test_each_resample_draws_as_many_images_as_there_are() -> None:
    counts = draw(images=30, resamples=200, seed=1)

    assert counts.shape == (200, 30)
    assert (counts.sum(axis=1) == 30).all()
    assert (counts == draw(images=30, resamples=200, seed=1)).all()
    assert (counts != draw(images=30, resamples=200, seed=2)).any()
    # An image stays out of a resample with probability (1 - 1/30) ** 30 = 0.362.
    assert (counts == 0).mean() == pytest.approx(0.362, abs=0.02)


def test_strata_keep_their_sizes() -> None:
    counts = draw(images=5, resamples=50, seed=0, strata=[0, 1, 0, 1, 1])

    assert (counts[:, [0, 2]].sum(axis=1) == 2).all()
    assert (counts[:, [1, 3, 4]].sum(axis=1) == 3).all()
    assert counts.std() > 0


def test_the_bounds_are_the_quantiles() -> None:
    values = np.arange(101) / 100

    assert interval(values, 0.95) == pytest.approx((0.05, 0.95))
    assert interval(np.append(values, np.nan), 0.9) == pytest.approx((0.1, 0.9))
    assert np.isnan(interval(np.full(3, np.nan), 0.95)).all()


def test_the_bound_of_a_share_is_the_binomials() -> None:
    # 100 images of one label each, found in 80 without a false alarm: AP is 0.995 of the recall.
    matches = [image((0.9, True), labels=1)] * 80 + [image(labels=1)] * 20

    precisions = Precisions.of(matches, (0,), draw(images=100, resamples=4000, seed=3))

    # Normal approximation: 0.8 ± 1.645 · sqrt(0.8 · 0.2 / 100) = 0.734 to 0.866.
    assert interval(precisions.map50, 0.95) == pytest.approx((0.734, 0.866), abs=0.012)


def test_the_same_draw_for_both_cancels_what_they_share() -> None:
    student = random_images(5, images=40)
    counts = draw(images=40, resamples=300, seed=0)

    one = Precisions.of(student, (0, 1, 2), counts)
    other = Precisions.of(student, (0, 1, 2), counts)

    assert interval(one.map50 / other.map50, 0.95) == (1.0, 1.0)
    low, high = interval(one.map50, 0.95)
    assert low < high


def test_the_mean_is_over_the_classes_that_were_drawn() -> None:
    matches = [image((0.9, True), labels=1), image(labels=1, class_id=1)]
    counts = np.array([[1, 1], [2, 0], [0, 2]])

    precisions = Precisions.of(matches, (0, 1), counts)

    assert precisions.map50 == pytest.approx([0.995 / 2, 0.995, 0.0])
    assert precisions.map50_95 == pytest.approx([0.995 / 2, 0.995, 0.0])
    assert precisions.ap50(1)[0] == 0
    assert np.isnan(precisions.ap50_95(1)[1])


def test_figures_know_their_bounds() -> None:
    bounded = Bounded.of(0.5, np.arange(101) / 100, 0.9)

    assert (bounded.value, bounded.low, bounded.high) == pytest.approx((0.5, 0.1, 0.9))
    assert Bounded.exact(3.0) == Bounded(3.0, 3.0, 3.0)
