"""Rollouts over simulated fleets, look by look, to their ends."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.rollout_power.fleet import LIMITS, Fleet, Floats, Truth
from bench.rollout_power.rules import GUARDRAILS, Look, Rule, serving_rule
from bench.rollout_power.traffic import Sums, World
from serving.controlplane import guardrails
from serving.controlplane.guardrails import Sides
from serving.controlplane.sequential import look_at
from serving.store.rollouts_values import MIN_CAMERAS

STAGES = (1.0, 5.0, 25.0, 50.0, 100.0)
# 5-second windows of traffic before the rollout.
BEFORE_WINDOWS = 60

_CHUNK = 100


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


def _p_values(look: Look) -> Floats:
    seen = (
        guardrails.errors(look.sides, LIMITS.max_error_increase),
        guardrails.slow_frames(look.sides, LIMITS.max_p99_ratio),
        guardrails.agreement(look.compared, look.f1, LIMITS.min_agreement),
    )
    return np.stack([sight.p_value for sight in seen], axis=-1)
