import numpy as np
import pytest

from serving.controlplane.guardrails import (
    BUCKETS,
    Sides,
    Sight,
    Traffic,
    agreement,
    errors,
    slow_frames,
)
from serving.store.histogram import bucket_of, seconds_of

CAMERAS = 16
NOBODY = Traffic(np.zeros(CAMERAS), np.zeros(CAMERAS), np.zeros((CAMERAS, BUCKETS)))


def traffic(
    cameras: slice, *, error_rate: float = 0.0, slow_s: float = 0.02, frames: int = 1000
) -> Traffic:
    """Cameras that answer 98 percent of their frames in 10 ms and the others in `slow_s`."""
    chosen = np.zeros(CAMERAS)
    chosen[cameras] = 1
    latency = np.zeros((CAMERAS, BUCKETS))
    latency[:, bucket_of(0.01)] = 0.98 * frames
    latency[:, bucket_of(slow_s)] += 0.02 * frames
    return Traffic(chosen * frames, chosen * frames * error_rate, latency * chosen[:, None])


HALF, OTHERS, ALL = slice(0, 8), slice(8, 16), slice(0, 16)


def one(sight: Sight) -> tuple[float, float, int]:
    return float(sight.p_value), float(sight.estimate), int(sight.cameras)


def test_more_errors_than_allowed_are_seen_against_the_other_cameras() -> None:
    sides = Sides(traffic(HALF, error_rate=0.03), traffic(OTHERS, error_rate=0.01), NOBODY)

    p_value, increase, cameras = one(errors(sides, 0.005))

    assert increase == pytest.approx(0.02)
    assert cameras == 8
    assert p_value < 0.2
    assert one(errors(sides, 0.02))[0] == 1.0


def test_what_a_camera_failed_before_is_not_the_arms_fault() -> None:
    mine, others = traffic(HALF), traffic(OTHERS)
    before = traffic(ALL)
    mine.errors[:2] = before.errors[:2] = 500

    assert one(errors(Sides(mine, others, before), 0.005))[0] == 1.0
    before.errors[:2] = 0
    assert one(errors(Sides(mine, others, before), 0.005))[0] < 0.05


def test_without_others_the_cameras_are_held_to_their_own_past() -> None:
    sides = Sides(traffic(ALL, error_rate=0.04), NOBODY, traffic(ALL, error_rate=0.01))

    p_value, increase, cameras = one(errors(sides, 0.005))

    assert p_value < 0.001
    assert increase == pytest.approx(0.03)
    assert cameras == 16


def test_a_doubled_p99_is_seen_against_each_cameras_own() -> None:
    sides = Sides(traffic(HALF, slow_s=0.04), traffic(OTHERS), traffic(ALL))

    p_value, ratio, cameras = one(slow_frames(sides, 1.5))

    assert ratio == pytest.approx(2.0, rel=0.05)
    assert cameras == 8
    assert p_value < 0.02
    assert one(slow_frames(sides, 2.2))[0] == 1.0


def test_what_slows_every_camera_is_not_the_arms_fault() -> None:
    sides = Sides(traffic(HALF, slow_s=0.04), traffic(OTHERS, slow_s=0.04), traffic(ALL))

    p_value, ratio, _ = one(slow_frames(sides, 1.5))

    assert p_value == 1.0
    assert ratio == pytest.approx(1.0, rel=0.05)


def test_cameras_without_a_past_are_held_to_the_others() -> None:
    fast = one(slow_frames(Sides(traffic(HALF), traffic(OTHERS), NOBODY), 1.5))
    slow = one(slow_frames(Sides(traffic(HALF, slow_s=0.04), traffic(OTHERS), NOBODY), 1.5))

    assert fast[0] == 1.0
    assert slow[0] < 0.02


def test_nothing_to_compare_with_shows_nothing() -> None:
    sides = Sides(traffic(HALF, slow_s=9.0), NOBODY, NOBODY)

    assert one(slow_frames(sides, 1.5))[0] == 1.0


def test_agreement_is_the_mean_over_cameras_not_frames() -> None:
    compared = np.array([10_000.0, *[20] * 9, *[0] * 6])
    f1 = compared * np.array([0.2, *[0.9] * 15])

    _, mean, cameras = one(agreement(compared, f1, 0.8))

    assert mean == pytest.approx((0.2 + 9 * 0.9) / 10)
    assert cameras == 10


def test_agreement_below_its_least_is_seen() -> None:
    rng = np.random.default_rng(0)
    compared = np.full(12, 100.0)

    low = agreement(compared, compared * rng.normal(0.7, 0.04, 12), 0.8)
    high = agreement(compared, compared * rng.normal(0.8, 0.04, 12), 0.8)

    assert one(low)[0] < 1e-4
    assert one(high)[0] > 0.05


def test_four_cameras_show_nothing() -> None:
    few = slice(0, 4)
    sides = Sides(traffic(few, error_rate=1.0, slow_s=9.0), traffic(OTHERS), traffic(ALL))
    compared = np.array([100.0] * 4 + [0] * 12)

    sights = errors(sides, 0.005), slow_frames(sides, 1.5), agreement(compared, 0 * compared, 0.8)

    assert [one(sight)[0] for sight in sights] == [1.0, 1.0, 1.0]


def test_the_longest_deadline_has_a_bucket() -> None:
    assert seconds_of(BUCKETS - 1) > 120
