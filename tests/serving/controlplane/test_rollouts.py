import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from rollout_fleet import BEFORE, PLAN, RolloutFleet, Student

from serving.controlplane.rollouts import Rollouts
from serving.dataplane.routing import pick
from serving.errors import (
    InvalidRoute,
    RolloutBusy,
    RolloutNotFound,
    RouteConflict,
    UnknownArm,
    UnknownRoute,
)
from serving.store.rollouts_values import Hold, Rollout, RolloutState
from serving.store.store import open_store
from serving.store.values import Route, Shadow

# A stage that holds for a minute, and ticks until it is over.
HOLD_WINDOWS = 13


@pytest_asyncio.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[RolloutFleet]:
    async with open_store(f"sqlite+aiosqlite:///{tmp_path / 'store'}") as store:
        opened = RolloutFleet(store)
        await opened.set_route(BEFORE, who="test", why="")
        await opened.pass_windows(20)
        yield opened


async def newest(fleet: RolloutFleet) -> Rollout:
    (rollout,) = await fleet.store.rollouts(None, 1)
    return rollout


async def test_a_good_arm_is_raised_by_stages_to_everything(fleet: RolloutFleet) -> None:
    rollouts = fleet.rollouts()

    started = await rollouts.start(PLAN, who="ann", why="new student")
    weights = [await fleet.weights()]
    for _ in range(4):
        await fleet.run(rollouts, HOLD_WINDOWS)
        weights.append(await fleet.weights())

    # Of 40 cameras, 1 and 5 percent are too few.
    assert (started.stage, started.state) == (2, RolloutState.RUNNING)
    assert [one["student"] for one in weights] == [25, 50, 100, 100, 100]
    rollout = await newest(fleet)
    assert rollout.state is RolloutState.DONE
    assert "100%" in rollout.note
    assert {(one.stage, one.guardrail) for one in rollout.evidence} == {
        (stage, guardrail) for stage in (25, 50, 100) for guardrail in ("errors", "p99")
    }
    assert {one.verdict for one in rollout.evidence} == {"pass"}
    assert rollout.spent_alpha == pytest.approx(0.05)
    assert [one.who for one in await fleet.store.history("default", 3)] == [rollout.writer] * 3


@pytest.mark.parametrize(
    ("student", "guardrail"),
    [
        (Student(errors=0.05), "errors"),
        (Student(seconds=0.03), "p99"),
        (Student(f1=0.6), "agreement"),
    ],
    ids=["errors", "p99", "agreement"],
)
async def test_a_bad_arm_is_rolled_back_with_its_evidence(
    fleet: RolloutFleet, student: Student, guardrail: str
) -> None:
    fleet.student = student
    rollouts = fleet.rollouts()

    await rollouts.start(PLAN.model_copy(update={"shadow_rate": 0.25}), who="ann", why="")
    await fleet.run(rollouts, 3 * HOLD_WINDOWS)

    rollout = await newest(fleet)
    assert rollout.state is RolloutState.ROLLED_BACK
    assert rollout.breach is not None
    assert rollout.breach.guardrail == guardrail
    assert rollout.breach.p_value <= rollout.breach.alpha
    assert guardrail in rollout.note
    back = await fleet.route()
    assert back.route == BEFORE
    assert rollout.note in back.why
    audit = [one.action for one in await fleet.store.audit_log(5)]
    assert "rollout.rolled_back" in audit


async def test_the_shadow_of_a_rollout_comes_and_goes_with_it(fleet: RolloutFleet) -> None:
    rollouts = fleet.rollouts()

    await rollouts.start(PLAN.model_copy(update={"shadow_rate": 0.25}), who="ann", why="")
    shadows = [(await fleet.route()).route.shadow]
    for _ in range(3):
        await fleet.run(rollouts, HOLD_WINDOWS)
        shadows.append((await fleet.route()).route.shadow)

    student, teacher = Shadow(arm="student", rate=0.25), Shadow(arm="teacher", rate=0.25)
    assert shadows == [student, student, teacher, None]
    rollout = await newest(fleet)
    assert rollout.state is RolloutState.DONE
    agreement = [one for one in rollout.evidence if one.guardrail == "agreement"]
    assert [one.cameras >= 25 for one in agreement] == [True, True, True]
    assert agreement[0].estimate == pytest.approx(0.9, abs=0.03)


async def test_an_operators_change_cancels_the_rollout_and_stays(fleet: RolloutFleet) -> None:
    rollouts = fleet.rollouts()
    await rollouts.start(PLAN, who="ann", why="")
    await fleet.run(rollouts, 3)

    await fleet.set_route(BEFORE, who="bob", why="not today")
    await fleet.run(rollouts, HOLD_WINDOWS)

    rollout = await newest(fleet)
    assert rollout.state is RolloutState.CANCELLED
    assert "bob" in rollout.note
    assert (await fleet.route()).who == "bob"


async def test_another_process_goes_on_where_one_was_stopped(fleet: RolloutFleet) -> None:
    await fleet.rollouts().start(PLAN, who="ann", why="")
    for _ in range(3 * HOLD_WINDOWS):
        await fleet.run(fleet.rollouts(), 1)

    rollout = await newest(fleet)
    assert rollout.state is RolloutState.DONE
    assert (await fleet.weights())["student"] == 100


async def test_a_stop_between_the_route_and_the_rollout_is_taken_up(fleet: RolloutFleet) -> None:
    rollouts = fleet.rollouts()
    before = await rollouts.start(PLAN, who="ann", why="")
    await fleet.run(rollouts, HOLD_WINDOWS)
    assert (await newest(fleet)).stage == 3
    await fleet.store.put_rollout(before)

    await fleet.rollouts().tick()

    rollout = await newest(fleet)
    assert (rollout.stage, rollout.state) == (3, RolloutState.RUNNING)
    assert rollout.revision == (await fleet.route()).revision
    await fleet.run(fleet.rollouts(), HOLD_WINDOWS)
    assert (await newest(fleet)).stage == 4


async def test_a_stop_before_the_roll_back_is_taken_up(fleet: RolloutFleet) -> None:
    fleet.student = Student(errors=0.3)
    rollouts = fleet.rollouts()
    await rollouts.start(PLAN, who="ann", why="")
    await fleet.run(rollouts, 2 * HOLD_WINDOWS)
    rolled_back = await newest(fleet)
    cut = rolled_back.model_copy(
        update={"state": RolloutState.RUNNING, "revision": rolled_back.revision - 1}
    )
    await fleet.store.put_rollout(cut)

    await fleet.rollouts().tick()

    rollout = await newest(fleet)
    assert rollout.state is RolloutState.ROLLED_BACK
    assert rollout.breach is not None


async def test_what_was_decided_on_an_older_state_is_refused(fleet: RolloutFleet) -> None:
    rollouts = fleet.rollouts()
    spoken_of = (await fleet.route()).revision
    with pytest.raises(RouteConflict, match=f"is at revision {spoken_of}, not {spoken_of - 1}"):
        await rollouts.start(PLAN, who="ann", expected_revision=spoken_of - 1)

    rollout = await rollouts.start(PLAN, who="ann", expected_revision=spoken_of)
    for act in (rollouts.pause, rollouts.resume, rollouts.cancel):
        with pytest.raises(RolloutBusy, match="by now: look again"):
            await act(rollout.id, who="bob", at_stage=rollout.stage - 1)
    await rollouts.pause(rollout.id, who="bob", at_stage=rollout.stage)

    assert (await newest(fleet)).state is RolloutState.PAUSED


async def test_a_paused_rollout_stays_but_is_watched(fleet: RolloutFleet) -> None:
    rollouts = fleet.rollouts()
    rollout = await rollouts.start(PLAN, who="ann", why="")
    await rollouts.pause(rollout.id, who="bob", why="lunch")
    await fleet.run(rollouts, 2 * HOLD_WINDOWS)
    assert (await newest(fleet)).stage == 2

    fleet.student = Student(errors=0.5)
    await fleet.run(rollouts, 2 * HOLD_WINDOWS)

    rollout = await newest(fleet)
    assert rollout.state is RolloutState.ROLLED_BACK
    assert rollout.breach is not None


async def test_a_resumed_rollout_goes_on(fleet: RolloutFleet) -> None:
    rollouts = fleet.rollouts()
    rollout = await rollouts.start(PLAN, who="ann", why="")
    await rollouts.pause(rollout.id, who="bob")
    await fleet.run(rollouts, HOLD_WINDOWS)

    await rollouts.resume(rollout.id, who="bob")
    await fleet.run(rollouts, 1)

    assert (await newest(fleet)).stage == 3


async def test_an_operator_cancels_or_rolls_back(fleet: RolloutFleet) -> None:
    rollouts = fleet.rollouts()
    first = await rollouts.start(PLAN, who="ann", why="")

    cancelled = await rollouts.cancel(first.id, who="bob", why="later")
    assert cancelled.state is RolloutState.CANCELLED
    assert cancelled.note == "by bob: later"
    assert (await fleet.weights())["student"] == 25

    second = await rollouts.start(PLAN, who="ann", why="")
    rolled_back = await rollouts.roll_back(second.id, who="bob")
    assert rolled_back.state is RolloutState.ROLLED_BACK
    assert (await fleet.weights())["student"] == 25
    with pytest.raises(RolloutBusy, match="has ended"):
        await rollouts.pause(second.id, who="bob")


async def test_a_stage_holds_for_samples(fleet: RolloutFleet) -> None:
    rollouts = fleet.rollouts()
    plan = PLAN.model_copy(update={"hold": Hold(seconds=60, samples=10**6)})

    await rollouts.start(plan, who="ann", why="")
    await fleet.run(rollouts, 2 * HOLD_WINDOWS)

    rollout = await newest(fleet)
    assert rollout.stage == 2
    assert rollout.note.startswith("waits for samples: ")


@pytest.mark.parametrize("cameras", [0, 4])
async def test_without_five_cameras_nothing_moves(tmp_path: Path, cameras: int) -> None:
    async with open_store(f"sqlite+aiosqlite:///{tmp_path / 'few'}") as store:
        fleet = RolloutFleet(store, cameras=cameras)
        await fleet.set_route(BEFORE, who="test", why="")
        rollouts = fleet.rollouts()

        await rollouts.start(PLAN, who="ann", why="")
        await fleet.run(rollouts, HOLD_WINDOWS)

        rollout = await newest(fleet)
        assert (rollout.stage, rollout.state) == (-1, RolloutState.RUNNING)
        assert rollout.note.startswith("waits for cameras")
        assert (await fleet.route()).route == BEFORE


async def test_a_stages_last_look_happens_once(fleet: RolloutFleet) -> None:
    async def refused(route: Route, *, who: str, why: str, expected_revision: int | None) -> None:
        raise InvalidRoute("arms", f"{expected_revision}: {who} may not set {route.name}: {why}")

    await fleet.rollouts().start(PLAN, who="ann", why="")
    await fleet.pass_windows(HOLD_WINDOWS)
    stuck = Rollouts(fleet.store, refused, pick, clock=fleet.clock)

    for _ in range(5):
        await fleet.run(stuck, 1)
    after = await newest(fleet)
    await fleet.run(fleet.rollouts(), 1)

    assert (after.stage, after.looks, after.over) == (2, 1, True)
    assert (await newest(fleet)).stage == 3


async def test_what_does_not_fit_is_refused(fleet: RolloutFleet) -> None:
    rollouts = fleet.rollouts()

    with pytest.raises(UnknownRoute):
        await rollouts.start(PLAN.model_copy(update={"route": "side"}), who="ann")
    with pytest.raises(UnknownArm):
        await rollouts.start(PLAN.model_copy(update={"arm": "stage-hand"}), who="ann")
    with pytest.raises(RolloutBusy, match="already"):
        await rollouts.start(PLAN.model_copy(update={"arm": "teacher"}), who="ann")
    with pytest.raises(RolloutNotFound):
        await rollouts.pause("nobody", who="ann")
    await rollouts.start(PLAN, who="ann")
    with pytest.raises(RolloutBusy, match="under way"):
        await rollouts.start(PLAN, who="ann")


async def test_cameras_parts_are_forgotten_after_a_day(fleet: RolloutFleet) -> None:
    begin = fleet.now - timedelta(hours=1)
    fleet.now += timedelta(days=2)
    await fleet.pass_windows(1)
    following = asyncio.create_task(fleet.rollouts().follow())

    # The loop tells nobody.
    async with asyncio.timeout(5):
        while (await fleet.store.windows("default", since=begin))[0].cameras:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    following.cancel()
    windows = await fleet.store.windows("default", since=begin)
    assert len(windows) == 21
    assert windows[-1].cameras


async def test_a_rollout_that_fails_keeps_no_other_from_moving(fleet: RolloutFleet) -> None:
    async def broken(route: Route, *, who: str, why: str, expected_revision: int | None) -> None:
        raise RuntimeError(f"{expected_revision}: {who} set {route.name}: {why}")

    night = BEFORE.model_copy(update={"name": "night"})
    await fleet.set_route(night, who="test", why="")
    first = await fleet.rollouts().start(PLAN, who="ann")
    await fleet.rollouts().start(PLAN.model_copy(update={"route": "night"}), who="ann")
    second = (await fleet.store.rollouts("night", 1))[0]
    await fleet.store.put_rollout(second.model_copy(update={"note": ""}))
    await fleet.pass_windows(HOLD_WINDOWS)

    await Rollouts(fleet.store, broken, pick, clock=fleet.clock).tick()

    assert (await fleet.store.rollout(first.id) or first).stage == first.stage
    assert (await fleet.store.rollouts("night", 1))[0].note.startswith("waits for cameras")
