"""What simulated cameras meet, window by window."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bench.rollout_power.fleet import EQUAL, Fleet, Floats, Truth
from serving.controlplane.guardrails import Traffic

_BUCKETS = 128
_SHADOW_RATE = 0.2
_BURST = (0.05, 0.25, 3.0)  # starts, ends (a window), times the error rate meanwhile


@dataclass
class Sums:
    """What the cameras met since it was cleared."""

    shape: tuple[int, int]
    frames: Floats = field(init=False)
    errors: Floats = field(init=False)
    latency: Floats = field(init=False)
    compared: Floats = field(init=False)
    f1: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.frames, self.errors, self.compared, self.f1 = np.zeros((4, *self.shape))
        self.latency = np.zeros((*self.shape, _BUCKETS))

    def traffic(self, of: npt.NDArray[np.bool_] | float = 1.0) -> Traffic:
        """Return the traffic of the chosen cameras."""
        chosen = np.broadcast_to(of, self.shape).astype(float)
        return Traffic(self.frames * chosen, self.errors * chosen, self.latency * chosen[..., None])

    def add(self, other: "Sums", of: npt.NDArray[np.bool_]) -> None:
        """Add another's traffic of the chosen cameras."""
        part = other.traffic(of)
        self.frames += part.frames
        self.errors += part.errors
        self.latency += part.latency


class World:
    """Makes windows of traffic, correlated from one to the next."""

    def __init__(self, fleet: Fleet, truth: Truth) -> None:
        self._fleet = fleet
        self._truth = truth
        shape = fleet.place.shape
        self._slow = fleet.rng.normal(0, 1, shape)
        self._hard = fleet.rng.normal(0, 1, shape)
        self._burst = fleet.rng.uniform(0, 1, shape) < _BURST[0] / (_BURST[0] + _BURST[1])

    def run(self, windows: int, moved: npt.NDArray[np.bool_], sums: Sums) -> None:
        """Let `windows` pass with the moved cameras on the raised arm, and count into `sums`."""
        steps = [self._step(moved) for _ in range(windows)]
        frames, level, rate, hard = (np.stack(part, axis=-1) for part in zip(*steps, strict=True))
        rng, truth, fleet = self._fleet.rng, self._truth, self._fleet
        errors = rng.binomial(frames, np.minimum(rate, 1))
        sums.frames += frames.sum(axis=-1)
        sums.errors += errors.sum(axis=-1)
        sums.latency += self._histogram(frames - errors, level)
        compared = rng.binomial(frames, _SHADOW_RATE)
        lost = (EQUAL.agreement - truth.agreement) * fleet.lost
        apart = (1 - EQUAL.agreement) * fleet.disagreement + lost
        f1 = 1 - apart[..., None] + 0.05 * hard
        noise = rng.normal(0, 0.2, compared.shape) * np.sqrt(compared)
        sums.compared += compared.sum(axis=-1)
        sums.f1 += (compared * f1 + noise).sum(axis=-1)

    def _step(
        self, moved: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.int64], Floats, Floats, Floats]:
        rng, fleet, truth = self._fleet.rng, self._fleet, self._truth
        shape = moved.shape
        self._slow = 0.9 * self._slow + np.sqrt(1 - 0.81) * rng.normal(0, 1, shape)
        self._hard = 0.9 * self._hard + np.sqrt(1 - 0.81) * rng.normal(0, 1, shape)
        starts, ends, times = _BURST
        draw = rng.uniform(0, 1, shape)
        self._burst = np.where(self._burst, draw > ends, draw < starts)
        often = starts / (starts + ends)
        factor = np.where(self._burst, times, (1 - often * times) / (1 - often))
        added = np.where(moved, truth.error_increase * fleet.fault_errors, 0.0)
        level = fleet.latency + 0.2 * self._slow + np.where(moved, np.log(truth.latency_ratio), 0)
        frames = rng.poisson(fleet.frames)
        return frames, level, (fleet.base_errors + added) * factor, self._hard

    def _histogram(self, frames: npt.NDArray[np.int64], level: Floats) -> Floats:
        units = level.shape[0] * level.shape[1]
        counts = frames.ravel()
        noise = self._fleet.rng.standard_normal(counts.sum(), np.float32)
        seconds = np.repeat(level.ravel().astype(np.float32), counts) + np.float32(0.35) * noise
        bucket = ((seconds - np.log(1e-4)) / np.log(1.05)).astype(np.int32)
        unit = np.repeat(np.arange(units, dtype=np.int32), frames.sum(axis=-1).ravel())
        index = unit * _BUCKETS + bucket.clip(0, _BUCKETS - 1)
        found = np.bincount(index, minlength=units * _BUCKETS)
        return found.reshape(*level.shape[:2], _BUCKETS).astype(np.float64)
