"""What a rollout decides on what it sees: pure functions, from one frozen value to the next."""

import math
from datetime import datetime, timedelta
from typing import Literal

from serving.controlplane import guardrails
from serving.controlplane.guardrails import Sight
from serving.controlplane.rollout_traffic import RolloutTraffic
from serving.controlplane.sequential import alpha_of_look, look_at
from serving.store.observations import WINDOW_S
from serving.store.rollouts_values import MIN_CAMERAS, Evidence, Rollout, RolloutState
from serving.store.values import MAX_WEIGHT, Shadow

Guardrail = Literal["errors", "p99", "agreement"]

# Gateways write a window soon after its end.
_LATE_S = 1.0


def entered(rollout: Rollout, stage: int, *, to_come: int, revision: int, at: datetime) -> Rollout:
    """Return the rollout at a stage that has just begun.

    Args:
        rollout: Before.
        stage: Index.
        to_come: How many stages are not skipped as far as is known, this one included: they share
            what is left of the alpha.
        revision: The route's, that began it.
        at: UTC.
    """
    alpha = (rollout.plan.guardrails.alpha - rollout.spent_alpha) / max(to_come, 1)
    return rollout.model_copy(
        update={
            "stage": stage,
            "revision": revision,
            "stage_started": at,
            "updated": at,
            "looks": 0,
            "over": False,
            "stage_alpha": alpha,
            "spent_alpha": rollout.spent_alpha + alpha,
            "note": "",
        }
    )


def look_due(rollout: Rollout, now: datetime) -> bool:
    """Tell whether it is time for the stage's next look."""
    windows = ((now - rollout.stage_started).total_seconds() - _LATE_S) // WINDOW_S
    return windows >= look_at(rollout.looks)


def waits_for(rollout: Rollout, traffic: RolloutTraffic, now: datetime) -> str:
    """Return what the stage still waits for, in words; "" where it may end."""
    hold = rollout.plan.hold
    until = rollout.stage_started + timedelta(seconds=hold.seconds)
    if now < until:
        return f"holds until {until:%H:%M:%S} UTC"
    cameras = int(_errors(rollout, traffic).cameras)
    if cameras < hold.cameras:
        return f"waits for cameras: {cameras} of {hold.cameras} have sent the arm frames enough"
    if traffic.samples < hold.samples:
        return f"waits for samples: {traffic.samples} of {hold.samples}"
    compared = int(_agreement(rollout, traffic).cameras)
    if _compares(rollout) and compared < MIN_CAMERAS:
        return f"waits for the shadow: {compared} of {MIN_CAMERAS} cameras compared"
    return ""


def looked(rollout: Rollout, traffic: RolloutTraffic, *, last: bool, now: datetime) -> Rollout:
    """Return the rollout after a look: with what each guardrail saw.

    Args:
        rollout: Before.
        traffic: So far.
        last: Whether the look ends its stage.
        now: UTC.
    """
    limits = rollout.plan.guardrails
    seen: dict[Guardrail, tuple[Sight, float]] = {
        "errors": (_errors(rollout, traffic), limits.max_error_increase),
        "p99": (
            guardrails.slow_frames(traffic.sides(), limits.max_p99_ratio),
            limits.max_p99_ratio,
        ),
    }
    if _shadow(rollout) is not None:
        seen["agreement"] = _agreement(rollout, traffic), limits.min_agreement
    alpha = alpha_of_look(rollout.stage_alpha / len(seen), rollout.looks + 1, last)
    found = tuple(
        Evidence(
            at=now,
            stage=rollout.plan.stages[rollout.stage],
            guardrail=name,
            cameras=int(sight.cameras),
            estimate=_finite(float(sight.estimate)),
            limit=limit,
            p_value=float(sight.p_value),
            alpha=alpha,
            verdict="breach" if sight.p_value <= alpha else "pass",
        )
        for name, (sight, limit) in seen.items()
    )
    known = {(one.stage, one.guardrail): one for one in (*rollout.evidence, *found)}
    evidence, looks = tuple(known.values()), rollout.looks + 1
    update = {"evidence": evidence, "looks": looks, "over": last, "updated": now}
    return rollout.model_copy(update=update)


def ended(rollout: Rollout, state: RolloutState, note: str, now: datetime) -> Rollout:
    """Return the rollout at its end, and why."""
    return rollout.model_copy(update={"state": state, "note": note, "updated": now})


def told(evidence: Evidence) -> str:
    """Return what a look found, in words."""
    values = {
        "errors": f"errors {evidence.estimate:+.2%} against {evidence.limit:.2%} allowed",
        "p99": f"p99 {evidence.estimate:.2f} times against {evidence.limit:.2f} allowed",
        "agreement": f"agreement {evidence.estimate:.3f} below {evidence.limit:.3f}",
    }
    return (
        f"{values[evidence.guardrail]}, over {evidence.cameras} cameras at {evidence.stage:g}%, "
        f"p = {evidence.p_value:.2g}"
    )


def _errors(rollout: Rollout, traffic: RolloutTraffic) -> Sight:
    return guardrails.errors(traffic.sides(), rollout.plan.guardrails.max_error_increase)


def _agreement(rollout: Rollout, traffic: RolloutTraffic) -> Sight:
    sums = traffic.compared()
    return guardrails.agreement(sums.frames, sums.f1, rollout.plan.guardrails.min_agreement)


def _shadow(rollout: Rollout) -> Shadow | float | None:
    return rollout.before.shadow or rollout.plan.shadow_rate


def _compares(rollout: Rollout) -> bool:
    """Tell whether the present stage has frames that both arms answer."""
    shadow = rollout.before.shadow
    if shadow is None:
        return rollout.plan.shadow_rate is not None
    return rollout.plan.stages[rollout.stage] < MAX_WEIGHT or shadow.arm != rollout.arm


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
