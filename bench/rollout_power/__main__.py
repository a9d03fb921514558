"""How often rollouts are rolled back, by simulation: good ones (seldom) and bad ones (soon).

    .venv/bin/python -m bench.rollout_power

writes bench/results/rollout_power.json. The guardrails and the schedule are those that serve; the
fleet is simulated: cameras with lasting effects of their own on latency, errors and agreement, and
frames that are correlated within a camera (AR(1) latency and agreement, errors in bursts).
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from bench.provenance import provenance
from bench.rollout_power.fleet import AT_THE_LIMITS, EQUAL, FAULTS, LIMITS
from bench.rollout_power.rules import frames_rule, peeking_rule, serving_rule
from bench.rollout_power.simulation import Outcome, simulate

_RESULTS = Path(__file__).parents[1] / "results" / "rollout_power.json"
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
