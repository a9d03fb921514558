"""When a rollout is rolled back: as we do it, and as others would."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from bench.rollout_power.fleet import LIMITS, Floats
from serving.controlplane.guardrails import Sides
from serving.controlplane.sequential import alpha_of_look

GUARDRAILS = ("errors", "p99", "agreement")


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
