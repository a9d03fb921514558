"""By simulation: rollouts within their limits are seldom rolled back, planted faults soon are.

`bench/rollout_power` is the simulation, and as a program its fuller version.
"""

import pytest

from bench.rollout_power.fleet import AT_THE_LIMITS, EQUAL, FAULTS
from bench.rollout_power.rules import frames_rule, peeking_rule, serving_rule
from bench.rollout_power.simulation import simulate

pytestmark = pytest.mark.slow

# Cameras, and the windows that each stage holds for so many: 5 and 15 minutes.
FLEETS = [(32, 60), (12, 180)]
# A planted fault is rolled back within so many holds of stages that were not skipped.
WITHIN_HOLDS = 3


def test_a_thousand_rollouts_at_their_very_limits() -> None:
    rules = (serving_rule, peeking_rule, frames_rule)

    served, peeked, frames = simulate(1000, 32, AT_THE_LIMITS, rules)

    assert served.share() <= 0.05
    assert peeked.share() > 0.05
    assert frames.share() > 0.5


def test_small_fleets_at_their_very_limits() -> None:
    (served,) = simulate(1000, 12, AT_THE_LIMITS)

    assert served.share() <= 0.05


def test_a_rollout_that_changes_nothing_is_left_alone() -> None:
    (served,) = simulate(300, 32, EQUAL)

    assert served.share() <= 0.01


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("cameras", "hold_windows"), FLEETS)
def test_planted_faults_are_rolled_back(fault: str, cameras: int, hold_windows: int) -> None:
    (served,) = simulate(400, cameras, FAULTS[fault], hold_windows=hold_windows, seed=1)

    assert served.share(WITHIN_HOLDS * hold_windows) >= 0.99
