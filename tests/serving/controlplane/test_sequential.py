from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from serving.controlplane.sequential import (
    FIRST_LOOK,
    alpha_of_look,
    look_at,
    mean_above_p,
    mean_above_t_p,
)


def test_looks_are_at_most_thirty_percent_late() -> None:
    windows = [look_at(looks) for looks in range(30)]

    assert windows[0] == FIRST_LOOK
    assert all(before < after <= before * 1.3 + 1 for before, after in pairwise(windows))


def test_all_looks_of_a_stage_spend_no_more_than_its_alpha() -> None:
    spent = [alpha_of_look(0.05, look, last=False) for look in range(1, 10_000)]

    assert sum(spent) + alpha_of_look(0.05, 10_000, last=True) <= 0.05
    assert spent == sorted(spent, reverse=True)


def test_a_bet_by_hand() -> None:
    # 1 + 0.3 * 3, 1 + 0.6 * 3 and 1 + 0.9 * 3 a camera at four times the limit, squared.
    wealth = (1.9**2 + 2.8**2 + 3.7**2) / 3

    assert mean_above_p(np.array([0.04, 0.04, np.nan]), 0.01) == pytest.approx(1 / wealth)


def test_at_or_below_the_limit_shows_nothing() -> None:
    assert mean_above_p(np.full(40, 0.01), 0.01) == 1.0
    assert mean_above_p(np.zeros(40), 0.01) == 1.0
    assert mean_above_p(np.full(3, np.nan), 0.01) == 1.0
    assert mean_above_t_p(np.full(40, 0.3), 0.3, least_sd=0.01) == pytest.approx(0.5)
    assert mean_above_t_p(np.array([0.9]), 0.3, least_sd=0.01) == 1.0


def test_the_t_test_is_students() -> None:
    values = np.random.default_rng(0).normal(0.35, 0.1, 12)

    p_value = mean_above_t_p(np.append(values, np.nan), 0.3, least_sd=1e-9)

    expected = stats.ttest_1samp(values, 0.3, alternative="greater").pvalue
    assert p_value == pytest.approx(expected)


def test_cameras_that_happen_to_be_alike_prove_little() -> None:
    alike = np.full(5, 0.301)

    assert mean_above_t_p(alike, 0.3, least_sd=0.02) > 0.4


@pytest.mark.parametrize("cameras", [5, 12, 32])
def test_bets_hold_their_level_for_rare_and_extreme_cameras(cameras: int) -> None:
    # One camera in a hundred fails always: the mean is at the limit, no normal test would hold.
    values = (np.random.default_rng(1).uniform(size=(20_000, cameras)) < 0.01).astype(float)

    p_values = mean_above_p(values, 0.01)

    for alpha in (0.05, 0.005, 0.0005):
        assert (p_values <= alpha).mean() <= alpha
