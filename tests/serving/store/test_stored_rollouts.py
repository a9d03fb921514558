from datetime import UTC, datetime, timedelta

from serving.store.rollouts_values import Evidence, Rollout, RolloutPlan, RolloutState
from serving.store.store import Store
from serving.store.values import Arm, ReleaseKey, Route

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ROUTE = Route(
    arms=(
        Arm(name="teacher", release=ReleaseKey(model="teacher", version="1.0"), weight=100),
        Arm(name="student", release=ReleaseKey(model="student", version="1.0"), weight=0),
    )
)


def rollout(number: int, route: str = "default") -> Rollout:
    at = NOON + timedelta(minutes=number)
    return Rollout(
        id=f"r{number}",
        plan=RolloutPlan(route=route, arm="student", shadow_rate=0.1),
        started=at,
        updated=at,
        stage_started=at,
        who="ann",
        before=ROUTE,
        revision=1,
    )


async def test_a_rollout_comes_back_as_it_was_last_put(store: Store) -> None:
    wanted = rollout(1)
    assert await store.rollout("r1") is None
    await store.put_rollout(wanted)
    seen = Evidence(
        at=NOON,
        stage=5,
        guardrail="errors",
        cameras=6,
        estimate=0.02,
        limit=0.005,
        p_value=0.0001,
        alpha=0.01,
        verdict="breach",
    )
    changed = wanted.model_copy(
        update={"state": RolloutState.ROLLED_BACK, "stage": 1, "evidence": (seen,)}
    )

    await store.put_rollout(changed)

    assert await store.rollout("r1") == changed
    assert await store.rollouts() == [changed]


async def test_rollouts_are_told_newest_first(store: Store) -> None:
    every = [rollout(1), rollout(2, "night"), rollout(3)]
    for one in every:
        await store.put_rollout(one)

    assert await store.rollouts(None, 10) == every[::-1]
    assert await store.rollouts("default", 10) == [every[2], every[0]]
    assert await store.rollouts("default", 1) == [every[2]]


async def test_those_under_way_are_found_behind_any_number_of_others(store: Store) -> None:
    over = {"state": RolloutState.DONE}
    paused = rollout(2, "night").model_copy(update={"state": RolloutState.PAUSED})
    for one in (rollout(1), paused, *(rollout(n).model_copy(update=over) for n in range(3, 9))):
        await store.put_rollout(one)

    assert await store.rollouts_under_way() == [rollout(1), paused]
