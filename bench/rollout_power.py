"""How often rollouts are rolled back, by simulation: good ones (seldom) and bad ones (soon).

    .venv/bin/python -m bench.rollout_power

writes bench/results/rollout_power.json. The guardrails and the schedule are those that serve; the
fleet is simulated: cameras with lasting effects of their own on latency, errors and agreement, and
frames that are correlated within a camera (AR(1) latency and agreement, errors in bursts).
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import stats

from bench.provenance import provenance
from serving.controlplane import guardrails
from serving.controlplane.guardrails import Sides, Traffic
from serving.controlplane.sequential import alpha_of_look, look_at
from serving.store.rollouts_values import MIN_CAMERAS, Guardrails

Floats = npt.NDArray[np.float64]

LIMITS = Guardrails(min_agreement=0.88)
STAGES = (1.0, 5.0, 25.0, 50.0, 100.0)
GUARDRAILS = ("errors", "p99", "agreement")
# 5-second windows of traffic before the rollout.
BEFORE_WINDOWS = 60

_WINDOW_S = 5
_CHUNK = 100
_BUCKETS = 128
_MEDIAN_S = 0.002
_SHADOW_RATE = 0.2
_BURST = (0.05, 0.25, 3.0)  # starts, ends (a window), times the error rate meanwhile


@dataclass(frozen=True)
class Truth:
    """What the raised arm really is.

    Attributes:
        error_increase: Mean over the cameras of its added share of failed frames.
        latency_ratio: Of every latency, so of the 99th percentile.
        agreement: Mean over the cameras of F1 with the control.
    """

    error_increase: float = 0.0
    latency_ratio: float = 1.0
    agreement: float = 0.9


EQUAL = Truth()
# The worst that is still allowed, in all three at once: what makes a test's 5 percent hard to keep.
AT_THE_LIMITS = Truth(LIMITS.max_error_increase, LIMITS.max_p99_ratio, LIMITS.min_agreement)
FAULTS = {
    "agreement 10 points lower": Truth(agreement=EQUAL.agreement - 0.1),
    "2% errors": Truth(error_increase=0.02),
    "p99 doubled": Truth(latency_ratio=2.0),
}


@dataclass(frozen=True)
class Fleet:
    """Cameras of `rollouts` independent rollouts, drawn; arrays are (rollouts, cameras)."""

    rng: np.random.Generator
    place: Floats
    frames: Floats
    latency: Floats
    base_errors: Floats
    fault_errors: Floats
    disagreement: Floats
    lost: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator, rollouts: int, cameras: int) -> "Fleet":
        """Return cameras of 1 to 5 frames a second with lognormal and gamma effects."""
        shape = (rollouts, cameras)
        return cls(
            rng=rng,
            place=rng.uniform(0, 100, shape),
            frames=_WINDOW_S * rng.uniform(1, 5, shape),
            latency=np.log(_MEDIAN_S) + rng.normal(0, 0.3, shape),
            base_errors=0.001 * rng.lognormal(-0.5, 1, shape),
            fault_errors=rng.lognormal(-0.125, 0.5, shape),
            disagreement=rng.gamma(16, 1 / 16, shape),
            lost=rng.lognormal(-0.045, 0.3, shape),
        )


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


@dataclass(frozen=True)
class Look:
    """A look at some rollouts.

    Attributes:
        windows: (rollouts,) since each began.
        number: In its stage, from 1.
        last: Whether its stage is over.
        stages: (rollouts,) how many stages are not skipped.
        sides: The traffic.
        compared: (rollouts, cameras) frames of both arms since the rollouts began.
        f1: (rollouts, cameras) sums of their F1.
    """

    windows: Floats
    number: int
    last: bool
    stages: Floats
    sides: Sides
    compared: Floats
    f1: Floats


Rule = Callable[[Look, Floats], npt.NDArray[np.bool_]]
"""Of a look and its p-values, (rollouts, guardrails), to which are breached."""


def serving_rule(look: Look, p_values: Floats) -> npt.NDArray[np.bool_]:
    """Decide as the rollouts that serve do."""
    return p_values <= _alpha(look)[:, None]


def peeking_rule(_: Look, p_values: Floats) -> npt.NDArray[np.bool_]:
    """Test the cameras at each look as if it were the only one."""
    return p_values <= LIMITS.alpha / len(GUARDRAILS)


def frames_rule(look: Look, _: Floats) -> npt.NDArray[np.bool_]:
    """Test frames as if they were independent, looks corrected: the usual mistake."""
    mine, other = look.sides.candidate, look.sides.control
    n, m = mine.frames.sum(axis=-1), other.frames.sum(axis=-1)
    x, y = mine.errors.sum(axis=-1) / np.maximum(n, 1), other.errors.sum(axis=-1) / np.maximum(m, 1)
    se = np.sqrt(x * (1 - x) / np.maximum(n, 1) + y * (1 - y) / np.maximum(m, 1) + 1e-12)
    errors = stats.norm.sf((x - y - LIMITS.max_error_increase) / se)
    k = look.compared.sum(axis=-1)
    f1 = look.f1.sum(axis=-1) / np.maximum(k, 1)
    agreement = stats.norm.cdf((f1 - LIMITS.min_agreement) / (0.25 / np.sqrt(np.maximum(k, 1))))
    naive = np.stack([errors, np.ones_like(errors), agreement], axis=-1)
    return naive <= _alpha(look)[:, None]


def _alpha(look: Look) -> Floats:
    part = alpha_of_look(LIMITS.alpha / len(GUARDRAILS), look.number, look.last)
    return part / np.maximum(look.stages, 1)


def _p_values(look: Look) -> Floats:
    seen = (
        guardrails.errors(look.sides, LIMITS.max_error_increase),
        guardrails.slow_frames(look.sides, LIMITS.max_p99_ratio),
        guardrails.agreement(look.compared, look.f1, LIMITS.min_agreement),
    )
    return np.stack([sight.p_value for sight in seen], axis=-1)


def _looks(fleet: Fleet, truth: Truth, hold_windows: int) -> Iterator[Look]:
    """Yield the looks of a rollout's stages; each is usable where it has cameras enough."""
    world, shape = World(fleet, truth), fleet.place.shape
    nobody = np.zeros(shape, bool)
    before, windows = Sums(shape), np.zeros(shape[0])
    world.run(BEFORE_WINDOWS, nobody, before)
    counts = {stage: (fleet.place < stage).sum(axis=-1) for stage in STAGES}
    past = (np.zeros(shape), np.zeros(shape))
    stages = sum((count >= MIN_CAMERAS).astype(float) for count in counts.values())
    for stage in STAGES:
        usable = counts[stage] >= MIN_CAMERAS
        if not usable.any():
            continue
        moved = fleet.place < stage
        # The arm shadows the others until it has everything; then the others shadow it.
        shadowed = (moved if stage == 100 else ~moved) & usable[:, None]
        sums, done, number = Sums(shape), 0, 0
        while done < hold_windows:
            upto = min(look_at(number), hold_windows)
            world.run(upto - done, moved, sums)
            done, number = upto, number + 1
            sides = Sides(
                sums.traffic(moved & usable[:, None]), sums.traffic(~moved), before.traffic()
            )
            compared = past[0] + sums.compared * shadowed
            f1 = past[1] + sums.f1 * shadowed
            last = done == hold_windows
            yield Look(windows + done, number, last, stages, sides, compared, f1)
        windows = windows + hold_windows * usable
        before.add(sums, ~moved)
        past = (compared, f1)


@dataclass(frozen=True)
class Outcome:
    """How simulated rollouts ended.

    Attributes:
        windows: (rollouts,) windows until the rollback; inf where there was none.
        by: How many each guardrail has rolled back.
    """

    windows: Floats
    by: dict[str, int]

    def share(self, within: float = np.inf) -> float:
        """Return the share rolled back within so many windows (not inf itself)."""
        return float(((self.windows <= within) & np.isfinite(self.windows)).mean())


def simulate(
    rollouts: int,
    cameras: int,
    truth: Truth,
    rules: Sequence[Rule] = (serving_rule,),
    *,
    hold_windows: int = 60,
    seed: int = 0,
) -> list[Outcome]:
    """Run independent rollouts over fleets of `cameras`, each stage `hold_windows` long.

    Returns:
        How they ended by each of the rules, which all see the same traffic.
    """
    rng = np.random.default_rng(seed)
    ends = np.full((len(rules), rollouts), np.inf)
    by = np.zeros((len(rules), len(GUARDRAILS)), int)
    for start in range(0, rollouts, _CHUNK):
        fleet = Fleet.draw(rng, min(_CHUNK, rollouts - start), cameras)
        chunk = ends[:, start : start + _CHUNK]
        for look in _looks(fleet, truth, hold_windows):
            p_values = _p_values(look)
            for rule, decide in enumerate(rules):
                breached = decide(look, p_values) & np.isinf(chunk[rule])[:, None]
                by[rule] += breached.sum(axis=0)
                chunk[rule] = np.where(breached.any(axis=-1), look.windows, chunk[rule])
            if np.isfinite(chunk).all():
                break
    told = [dict(zip(GUARDRAILS, one.tolist(), strict=True)) for one in by]
    return [Outcome(one, counts) for one, counts in zip(ends, told, strict=True)]


_RESULTS = Path(__file__).parent / "results" / "rollout_power.json"
# Cameras and windows a stage.
_FLEETS = ((12, 180), (32, 60), (100, 60))


def _fleet_results(cameras: int, hold_windows: int, rollouts: int) -> dict[str, object]:
    results: dict[str, object] = {"hold_windows": hold_windows}
    rules = (serving_rule, peeking_rule, frames_rule)
    for name, truth in {"equal": EQUAL, "at the limits": AT_THE_LIMITS}.items():
        outcomes = simulate(rollouts, cameras, truth, rules, hold_windows=hold_windows)
        told = {rule.__name__: _told(one) for rule, one in zip(rules, outcomes, strict=True)}
        results[name] = told
        print(cameras, "cameras,", name, told, flush=True)
    for name, truth in FAULTS.items():
        (outcome,) = simulate(rollouts, cameras, truth, hold_windows=hold_windows)
        results[name] = _told(outcome)
        print(cameras, "cameras,", name, results[name], flush=True)
    return results


def _told(outcome: Outcome) -> dict[str, object]:
    found = outcome.windows[np.isfinite(outcome.windows)]
    told: dict[str, object] = {"rolled_back": outcome.share(), "by": outcome.by}
    if len(found) > len(outcome.windows) / 2:
        quantiles = np.quantile(found, [0.5, 0.99], method="higher")
        told["windows_p50"], told["windows_p99"] = (int(one) for one in quantiles)
    return told


def main() -> None:
    """Simulate 2,000 rollouts a case, or as many as told, and write the results."""
    rollouts = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    fleets = {str(n): _fleet_results(n, hold, rollouts) for n, hold in _FLEETS}
    results = {
        **provenance(f".venv/bin/python -m bench.rollout_power {rollouts}"),
        "rollouts": rollouts,
        "guardrails": LIMITS.model_dump(),
        "at_the_limits": asdict(AT_THE_LIMITS),
        "fleets": fleets,
    }
    _RESULTS.parent.mkdir(exist_ok=True)
    _RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
