import pytest

from bench.serve.figures import best_of, median_of, percentile, ratio_of_rounds


def test_percentiles_lie_between_neighbours() -> None:
    values = [40.0, 10.0, 30.0, 20.0]

    assert percentile(values, 0.0) == 10.0
    assert percentile(values, 0.5) == 25.0
    assert percentile(values, 0.99) == pytest.approx(39.7)
    assert percentile(values, 1.0) == 40.0


def test_nothing_has_no_percentile_and_no_median() -> None:
    assert percentile([], 0.5) is None
    assert median_of([None, None]) is None


def test_a_ratio_compares_within_rounds() -> None:
    # The machine was twice as fast in round 1: medians of each would say 1.5, rounds say 2.
    ours = {0: 20.0, 1: 40.0, 2: None, 4: 9.0}
    theirs = {0: 10.0, 1: 20.0, 2: 10.0, 3: 7.0}

    assert ratio_of_rounds(ours, theirs) == 2.0


def test_rounds_of_one_side_alone_have_no_ratio() -> None:
    assert ratio_of_rounds({0: 1.0}, {1: 1.0}) is None


def test_best_is_the_highest_or_the_lowest_that_was_measured() -> None:
    figures = {"a": 3.0, "b": None, "c": 5.0}

    assert best_of(figures) == "c"
    assert best_of(figures, lowest=True) == "a"
    assert best_of({"b": None}) is None
