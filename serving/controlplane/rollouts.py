"""Rollouts: what an operator asks of them, and the loop that moves those under way."""

import asyncio
import secrets
from datetime import timedelta

import structlog

from serving.controlplane.rollout_mover import Clock, RolloutMover, SetRoute
from serving.controlplane.rollout_routes import Pick
from serving.errors import (
    LeaseLost,
    RolloutBusy,
    RolloutNotFound,
    RouteConflict,
    UnderstudyError,
    UnknownArm,
    UnknownRoute,
)
from serving.store.observations import WINDOW_S, WINDOWS_KEPT
from serving.store.rollouts_values import Rollout, RolloutPlan, RolloutState
from serving.store.store import Store
from serving.store.values import MAX_WEIGHT, Route, RouteRevision

_log = structlog.get_logger(__name__)

_FORGET_EVERY_S = 3600.0
_CAMERAS_KEPT = timedelta(days=1)
_STRANGE_CAMERAS_KEPT = timedelta(days=30)


class Rollouts:
    """Starts and moves rollouts; each step is in the store before the next begins.

    Args:
        store: Fenced where several might lead.
        set_route: Changes a route.
        pick: Which arm of a route answers a camera; None: go by the weights alone.
        period_s: Seconds from one step to the next.
        clock: UTC; the store's unless told.
    """

    def __init__(
        self,
        store: Store,
        set_route: SetRoute,
        pick: Pick | None = None,
        *,
        period_s: float = WINDOW_S,
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._period_s = period_s
        self._clock = clock or store.now
        self._mover = RolloutMover(store, set_route, pick, self._clock)
        self._one_at_a_time = asyncio.Lock()

    async def start(
        self,
        plan: RolloutPlan,
        *,
        who: str,
        why: str = "",
        expected_revision: int | None = None,
    ) -> Rollout:
        """Begin a rollout; its first stage follows at once where there are cameras enough.

        Args:
            plan: What is asked for.
            who: Name of the key that asks.
            why: The operator's words.
            expected_revision: The route's that the plan was made for; None: whatever it is.

        Raises:
            UnknownRoute: No such route.
            UnknownArm: It has no such arm.
            RouteConflict: The route is at another revision than expected.
            RolloutBusy: The route has a rollout under way, or the arm cannot be raised so.
        """
        async with self._one_at_a_time:
            found = (await self._store.routes()).get(plan.route)
            if found is None:
                raise UnknownRoute("route", f"route: no route {plan.route!r} here")
            if expected_revision not in {None, found.revision}:
                raise RouteConflict(
                    f"route {plan.route!r} is at revision {found.revision}, not "
                    f"{expected_revision}: somebody changed it meanwhile; look again"
                )
            _must_fit(plan, found.route)
            await self._must_be_alone(plan)
            rollout = await self._begun(plan, found, who, why)
            return await self._mover.step(rollout)

    async def pause(
        self, rollout_id: str, *, who: str, why: str = "", at_stage: int | None = None
    ) -> Rollout:
        """Stay at the present stage until it is resumed; the guardrails go on watching.

        Args:
            rollout_id: Which.
            who: Name of the key that asks.
            why: The operator's words.
            at_stage: The stage that this was decided at; None: whichever it is.

        Raises:
            RolloutNotFound: No such rollout.
            RolloutBusy: It has ended, or is at another stage.
        """
        return await self._put(rollout_id, RolloutState.PAUSED, who, why, at_stage)

    async def resume(
        self, rollout_id: str, *, who: str, why: str = "", at_stage: int | None = None
    ) -> Rollout:
        """Let a paused rollout go on; takes and raises what `pause` does."""
        return await self._put(rollout_id, RolloutState.RUNNING, who, why, at_stage)

    async def cancel(
        self, rollout_id: str, *, who: str, why: str = "", at_stage: int | None = None
    ) -> Rollout:
        """End it with the weights as they are; takes and raises what `pause` does."""
        async with self._one_at_a_time:
            rollout = await self._mover.caught_up(await self._under_way(rollout_id, at_stage))
            if rollout.state.ended:
                return rollout
            return await self._mover.stop(rollout, RolloutState.CANCELLED, _by(who, why))

    async def roll_back(self, rollout_id: str, *, who: str, why: str = "") -> Rollout:
        """End it with the weights as they were before it; raises as `pause` does."""
        async with self._one_at_a_time:
            rollout = await self._mover.caught_up(await self._under_way(rollout_id))
            if rollout.state.ended:
                return rollout
            return await self._mover.roll_back(rollout, _by(who, why))

    async def tick(self) -> None:
        """Move every rollout that is under way by a step.

        Raises:
            LeaseLost: Another controller leads.
        """
        async with self._one_at_a_time:
            for rollout in await self._store.rollouts_under_way():
                await self._step_or_log(rollout)

    async def follow(self) -> None:
        """Tick, and forget old windows and cameras, until cancelled.

        Raises:
            LeaseLost: Another controller leads.
        """
        clock = asyncio.get_running_loop().time
        forget_at = clock()
        while True:
            try:
                await self.tick()
                if clock() >= forget_at:
                    await self._forget()
                    forget_at = clock() + _FORGET_EVERY_S
            except LeaseLost:
                raise
            except Exception:  # noqa: BLE001 - the loop must live: the store may come back
                _log.exception("rollouts_failed")
            await asyncio.sleep(self._period_s)

    async def _step_or_log(self, rollout: Rollout) -> None:
        try:
            await self._mover.step(rollout)
        except LeaseLost:
            raise
        except UnderstudyError as error:
            _log.warning("rollout_step_failed", rollout=rollout.id, error=error.message)
        except Exception:  # noqa: BLE001 - one rollout keeps no other from moving
            _log.exception("rollout_step_failed", rollout=rollout.id)

    async def _forget(self) -> None:
        now = await self._clock()
        await self._store.forget_windows(
            before=now - WINDOWS_KEPT, cameras_before=now - _CAMERAS_KEPT
        )
        await self._store.forget_strange_cameras(before=now - _STRANGE_CAMERAS_KEPT)

    async def _begun(self, plan: RolloutPlan, found: RouteRevision, who: str, why: str) -> Rollout:
        now = await self._clock()
        rollout = Rollout(
            id=secrets.token_hex(4),
            plan=plan,
            started=now,
            updated=now,
            stage_started=now,
            who=who,
            why=why,
            before=found.route,
            revision=found.revision,
        )
        await self._store.put_rollout(rollout)
        detail = f"{plan.route}: {plan.arm} to {plan.stages[-1]:g}%; {why}"
        await self._store.audit(who, "rollout.start", rollout.id, detail)
        return rollout

    async def _put(
        self, rollout_id: str, state: RolloutState, who: str, why: str, at_stage: int | None
    ) -> Rollout:
        async with self._one_at_a_time:
            rollout = await self._under_way(rollout_id, at_stage)
            put = rollout.model_copy(
                update={"state": state, "updated": await self._clock(), "note": _by(who, why)}
            )
            await self._store.put_rollout(put)
            await self._store.audit(who, f"rollout.{state}", rollout_id, why)
            return put

    async def _under_way(self, rollout_id: str, at_stage: int | None = None) -> Rollout:
        rollout = await self._store.rollout(rollout_id)
        if rollout is None:
            raise RolloutNotFound(
                f"no rollout {rollout_id!r}; `understudy rollout show` lists them"
            )
        if rollout.state.ended:
            raise RolloutBusy(f"rollout {rollout_id} has ended: {rollout.state}, {rollout.note}")
        if at_stage not in {None, rollout.stage}:
            weight = 0.0 if rollout.weight is None else rollout.weight
            raise RolloutBusy(f"rollout {rollout_id} is at {weight:g}% by now: look again")
        return rollout

    async def _must_be_alone(self, plan: RolloutPlan) -> None:
        for other in await self._store.rollouts_under_way():
            if other.route == plan.route:
                raise RolloutBusy(
                    f"route {plan.route!r} has rollout {other.id} under way ({other.state}): "
                    f"wait for it, or `understudy rollout cancel {other.id}`"
                )


def _must_fit(plan: RolloutPlan, route: Route) -> None:
    arm = route.arm(plan.arm)
    if arm is None:
        names = ", ".join(one.name for one in route.arms)
        raise UnknownArm("arm", f"arm: route {plan.route!r} has {names}, no {plan.arm!r}")
    if arm.weight >= min(plan.stages[-1], MAX_WEIGHT):
        raise RolloutBusy(
            f"{plan.arm} has {arm.weight:g}% already, and the last stage is {plan.stages[-1]:g}%: "
            f"lower it first, as in `understudy route set`"
        )


def _by(who: str, why: str) -> str:
    return f"by {who}" + (f": {why}" if why else "")
