"""The guardrails: sums a camera in, a p-value, an estimate and a count of cameras out.

Each is about the cameras that the raised arm answers, compared with the others meanwhile
(cameras are dealt to the arms by a hash, so as if at random) and with themselves before they moved,
which cancels what is a camera's own.
"""

import math
from dataclasses import dataclass

import numpy as np

from serving.controlplane.sequential import Floats, count, mean, mean_above_p, mean_above_t_p
from serving.store.histogram import bucket_of, seconds_of
from serving.store.rollouts_values import MIN_CAMERAS

BUCKETS = bucket_of(150.0) + 1
"""Length of a latency histogram as an array: beyond the longest deadline."""

SLOW_SHARE = 0.01
"""What may be slower than the 99th percentile."""

# Frames that a camera needs for a number of its own.
_MIN_FRAMES = 30
_MIN_COMPARED = 10
# A camera's own 99th percentile needs more; with fewer it is held to the others'.
_MIN_OWN = 200
# Agreement differs between cameras by no less.
_LEAST_SD = 0.02

_SECONDS = np.array([seconds_of(bucket) for bucket in range(BUCKETS)])


@dataclass(frozen=True)
class Traffic:
    """What cameras met, a camera in each place of the last axis.

    Attributes:
        frames: (..., cameras) requests; 0 where the camera sent none here.
        errors: (..., cameras) of them, that failed.
        latency: (..., cameras, buckets) of the answered ones, buckets as in
            `serving.store.histogram`.
    """

    frames: Floats
    errors: Floats
    latency: Floats


@dataclass(frozen=True)
class Sides:
    """The two sides of a comparison; all with the same cameras in the same places.

    Attributes:
        candidate: Answered by the raised arm, in this stage.
        control: Answered by the other arms, in this stage.
        before: Answered by the other arms before this stage.
    """

    candidate: Traffic
    control: Traffic
    before: Traffic


@dataclass(frozen=True)
class Sight:
    """What a guardrail sees at a look.

    Attributes:
        p_value: (...) how likely a sight at least as bad is within the limit.
        estimate: (...) the guardrail's number.
        cameras: (...) how many were compared; fewer than MIN_CAMERAS show nothing.
    """

    p_value: Floats
    estimate: Floats
    cameras: Floats


def agreement(compared: Floats, f1: Floats, least: float) -> Sight:
    """Hold the cameras' mean F1 between both arms, on the same frames, to its least.

    Args:
        compared: (..., cameras) frames that both arms answered.
        f1: (..., cameras) sums of their F1.
        least: The limit.
    """
    values = _share(f1, compared, _MIN_COMPARED)
    apart = np.sqrt(np.clip(1 - values, 0, 1))
    limit = math.sqrt(1 - least)
    least_sd = _LEAST_SD / (2 * max(limit, _LEAST_SD))
    return _sight(values, mean_above_t_p(apart, limit, least_sd=least_sd), mean(values))


def errors(sides: Sides, most: float) -> Sight:
    """Hold the share of failed frames to the control's plus `most`.

    What a camera failed before it moved beyond the control's mean is taken from its share, down to
    0: that lowers a mean and never raises it, so it leaves the test valid, and keeps a camera that
    always fails from looking like the arm's fault.
    """
    reference = _reference(sides)
    expected = mean(_share(reference.errors, reference.frames, _MIN_FRAMES))
    mine = _share(sides.candidate.errors, sides.candidate.frames, _MIN_FRAMES)
    own = np.nan_to_num(_share(sides.before.errors, sides.before.frames, _MIN_FRAMES))
    beyond = np.maximum(own - expected[..., None], 0.0)
    p_value = mean_above_p(np.maximum(mine - beyond, 0.0), expected + most)
    return _sight(mine, p_value, mean(mine) - expected)


def slow_frames(sides: Sides, ratio: float) -> Sight:
    """Hold the 99th percentile to `ratio` times the control's.

    A camera's number is its share of frames slower than `ratio` times its own 99th percentile
    before it moved, times how far the control's has drifted since (the control's present one where
    it has no own); the mean of these shares must not exceed 1 percent. The estimate is the
    geometric mean of the cameras' ratios.
    """
    reference = _reference(sides)
    own = _p99(sides.before.latency, _MIN_OWN)
    drift = np.maximum(_median(_p99(sides.control.latency, _MIN_OWN) / own, MIN_CAMERAS), 1.0)
    pooled = _p99(reference.latency.sum(axis=-2), _MIN_OWN)
    expected = np.where(np.isfinite(own), own * drift[..., None], pooled[..., None])
    mine = sides.candidate.latency
    share = _share(_slower(mine, expected * ratio), mine.sum(axis=-1), _MIN_FRAMES)
    share = np.where(np.isfinite(expected), share, np.nan)
    estimate = np.exp(mean(np.log(_p99(mine, _MIN_FRAMES) / expected)))
    return _sight(share, mean_above_p(share, SLOW_SHARE), estimate)


def _reference(sides: Sides) -> Traffic:
    """Return the control now, or before where too few cameras are left to it."""
    enough = (sides.control.frames >= _MIN_FRAMES).sum(axis=-1) >= MIN_CAMERAS
    now, before = sides.control, sides.before
    return Traffic(
        frames=np.where(enough[..., None], now.frames, before.frames),
        errors=np.where(enough[..., None], now.errors, before.errors),
        latency=np.where(enough[..., None, None], now.latency, before.latency),
    )


def _sight(values: Floats, p_value: Floats, estimate: Floats) -> Sight:
    cameras = count(values)
    return Sight(np.where(cameras >= MIN_CAMERAS, p_value, 1.0), estimate, cameras)


def _p99(latency: Floats, least: int) -> Floats:
    """Return (..., ) seconds of a (..., buckets) histogram; NaN of fewer than `least` frames."""
    total = latency.sum(axis=-1)
    # The rank whose share of slower frames is 1 percent on average over samples.
    rank = np.minimum((1 - SLOW_SHARE) * (total + 1), total)
    place = (latency.cumsum(axis=-1) < rank[..., None]).sum(axis=-1)
    seconds = _SECONDS[np.minimum(place, latency.shape[-1] - 1)]
    return np.where(total >= least, seconds, np.nan)


def _slower(latency: Floats, seconds: Floats) -> Floats:
    """Return how many frames of each histogram lie in buckets beyond `seconds`."""
    beyond = _SECONDS[: latency.shape[-1]] > seconds[..., None]
    return np.asarray((latency * beyond).sum(axis=-1))


def _share(part: Floats, whole: Floats, least: int) -> Floats:
    """Return part / whole; NaN where the whole is less than `least`."""
    return np.where(whole >= least, part / np.maximum(whole, 1), np.nan)


def _median(values: Floats, least: int) -> Floats:
    """Return the median over the cameras, 1 of fewer than `least`."""
    enough = count(values) >= least
    known = np.where(enough[..., None], values, 1.0)
    return np.asarray(np.nanmedian(known, axis=-1))
