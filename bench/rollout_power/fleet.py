"""Simulated cameras, and what a raised arm really is."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from serving.store.rollouts_values import Guardrails

Floats = npt.NDArray[np.float64]

LIMITS = Guardrails(min_agreement=0.88)
WINDOW_S = 5
_MEDIAN_S = 0.002


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
            frames=WINDOW_S * rng.uniform(1, 5, shape),
            latency=np.log(_MEDIAN_S) + rng.normal(0, 0.3, shape),
            base_errors=0.001 * rng.lognormal(-0.5, 1, shape),
            fault_errors=rng.lognormal(-0.125, 0.5, shape),
            disagreement=rng.gamma(16, 1 / 16, shape),
            lost=rng.lognormal(-0.045, 0.3, shape),
        )
