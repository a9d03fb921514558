"""The routes that a rollout writes: pure functions of the route it found."""

from collections.abc import Callable, Iterable

from serving.store.rollouts_values import Rollout
from serving.store.values import MAX_WEIGHT, Arm, Route, Shadow

Pick = Callable[[Route, str], Arm]
"""Which arm of a route answers a key."""


def at_stage(rollout: Rollout, stage: int) -> Route:
    """Return the route with the raised arm at a stage's weight.

    The other arms share the rest in the proportion that they had. A shadow of the rollout's own is
    the raised arm, and at 100 percent, where it answers every camera itself, the heaviest other.
    """
    before, weight = rollout.before, rollout.plan.stages[stage]
    rest = sum(arm.weight for arm in before.arms if arm.name != rollout.arm)
    arms = tuple(
        arm.model_copy(
            update={
                "weight": weight
                if arm.name == rollout.arm
                else (MAX_WEIGHT - weight) * arm.weight / rest
            }
        )
        for arm in before.arms
    )
    return before.model_copy(update={"arms": arms, "shadow": _shadow(rollout, weight)})


def at_end(rollout: Rollout, present: Route) -> Route:
    """Return the present route without a shadow of the rollout's own."""
    return present.model_copy(update={"shadow": rollout.before.shadow})


def stage_of(rollout: Rollout, route: Route) -> int | None:
    """Return the stage that a route is at, or None."""
    arm = route.arm(rollout.arm)
    weights = list(rollout.plan.stages)
    return weights.index(arm.weight) if arm is not None and arm.weight in weights else None


def cameras_at(rollout: Rollout, stage: int, cameras: Iterable[str], pick: Pick | None) -> int:
    """Return how many of the cameras the raised arm would answer at a stage."""
    route, known = at_stage(rollout, stage), list(cameras)
    if route.sticky == "camera" and pick is not None:
        return sum(pick(route, camera).name == rollout.arm for camera in known if camera)
    if route.sticky == "none":
        return len(known)
    # Which cameras share a header's value is not known here.
    return int(len(known) * rollout.plan.stages[stage] / MAX_WEIGHT)


def usable_stages(rollout: Rollout, cameras: Iterable[str], pick: Pick | None) -> list[int]:
    """Return the stages to come that give the raised arm cameras enough, and more weight."""
    known, least = list(cameras), rollout.plan.hold.cameras
    had = rollout.before.arm(rollout.arm)
    return [
        stage
        for stage in range(rollout.stage + 1, len(rollout.plan.stages))
        if had is not None
        and rollout.plan.stages[stage] > had.weight
        and cameras_at(rollout, stage, known, pick) >= least
    ]


def _shadow(rollout: Rollout, weight: float) -> Shadow | None:
    rate = rollout.plan.shadow_rate
    if rollout.before.shadow is not None or rate is None:
        return rollout.before.shadow
    others = [arm for arm in rollout.before.arms if arm.name != rollout.arm]
    heaviest = max(others, key=lambda arm: arm.weight)
    return Shadow(arm=heaviest.name if weight == MAX_WEIGHT else rollout.arm, rate=rate)
