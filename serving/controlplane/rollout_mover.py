"""Moves one rollout by one step: looks, raises, waits, rolls back."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

import structlog

from serving.controlplane import rollout_routes as routes
from serving.controlplane import rollout_steps as steps
from serving.controlplane.rollout_routes import Pick
from serving.controlplane.rollout_traffic import RolloutTraffic
from serving.controlplane.rollout_windows import WindowReader
from serving.errors import RouteConflict
from serving.store.rollouts_values import Rollout, RolloutState
from serving.store.store import Store
from serving.store.values import Route, RouteRevision

_log = structlog.get_logger(__name__)

Clock = Callable[[], Awaitable[datetime]]


class SetRoute(Protocol):
    """Gives a route another state; the controller's."""

    def __call__(
        self, route: Route, *, who: str, why: str, expected_revision: int | None = None
    ) -> Awaitable[RouteRevision]:
        """Raise RouteConflict where the route is at another revision than expected."""


class RolloutMover:
    """Moves rollouts, one step a call, each in the store before the call returns.

    The route changes before the rollout does: a process that was stopped in between finds the
    route at a revision that the rollout has written and does not know, and takes it up. Where
    somebody else has written the newest revision, the rollout is cancelled.

    Args:
        store: Fenced where several might lead.
        set_route: Changes a route.
        pick: Which arm of a route answers a camera; None: go by the weights alone.
        clock: UTC.
    """

    def __init__(self, store: Store, set_route: SetRoute, pick: Pick | None, clock: Clock) -> None:
        self._store = store
        self._set_route = set_route
        self._pick = pick
        self._clock = clock
        self._readers: dict[str, WindowReader] = {}

    async def step(self, rollout: Rollout) -> Rollout:
        """Move a rollout that is under way as far as it can go now.

        Raises:
            UnderstudyError: The route cannot be changed now; nothing is lost, call again.
        """
        rollout = await self.caught_up(rollout)
        if rollout.state.ended:
            return rollout
        if rollout.breach is not None:
            return await self.roll_back(rollout, steps.told(rollout.breach))
        now = await self._clock()
        traffic = await self._traffic(rollout)
        if rollout.stage < 0:
            return await self._raise(rollout, traffic)
        return await self._watch(rollout, traffic, now)

    async def caught_up(self, rollout: Rollout) -> Rollout:
        """Return the rollout as its route stands: cancelled where somebody else has changed it."""
        present = (await self._store.routes()).get(rollout.route)
        if present is not None and present.revision == rollout.revision:
            return rollout
        if present is None or present.who != rollout.writer:
            return await self._cancelled(rollout)
        return await self._taken_up(rollout, present)

    async def roll_back(self, rollout: Rollout, note: str) -> Rollout:
        """Set the route to what it was before the rollout; the arm's release stays loaded.

        Raises:
            UnderstudyError: The route cannot be changed now.
        """
        return await self._end(rollout, rollout.before, RolloutState.ROLLED_BACK, note)

    async def stop(self, rollout: Rollout, state: RolloutState, note: str) -> Rollout:
        """End a rollout with the route's weights as they are, without its own shadow.

        Raises:
            UnderstudyError: The route cannot be changed now.
        """
        present = (await self._store.routes()).get(rollout.route)
        if present is None:
            return await self._cancelled(rollout)
        return await self._end(rollout, routes.at_end(rollout, present.route), state, note)

    async def _watch(self, rollout: Rollout, traffic: RolloutTraffic, now: datetime) -> Rollout:
        """Look where it is time to, and go on where the stage is over."""
        waits = ""
        if not rollout.over:
            waits = steps.waits_for(rollout, traffic, now) or self._lacks_cameras(rollout, traffic)
            last = not waits and rollout.state is RolloutState.RUNNING
            if last or steps.look_due(rollout, now):
                rollout = steps.looked(rollout, traffic, last=last, now=now)
                await self._store.put_rollout(rollout)
        if rollout.breach is not None:
            return await self.roll_back(rollout, steps.told(rollout.breach))
        if rollout.state is RolloutState.PAUSED:
            return rollout
        if not rollout.over:
            return await self._noted(rollout, waits)
        if _at_the_last(rollout):
            weight = rollout.plan.stages[-1]
            note = f"{rollout.arm} has {weight:g}% and kept within every guardrail"
            return await self.stop(rollout, RolloutState.DONE, note)
        return await self._raise(rollout, traffic)

    def _lacks_cameras(self, rollout: Rollout, traffic: RolloutTraffic) -> str:
        if _at_the_last(rollout) or routes.usable_stages(rollout, traffic.cameras, self._pick):
            return ""
        least, known = rollout.plan.hold.cameras, len(traffic.cameras)
        return f"waits for cameras: of {known}, no stage to come gives {rollout.arm} {least}"

    async def _raise(self, rollout: Rollout, traffic: RolloutTraffic) -> Rollout:
        if rollout.state is RolloutState.PAUSED:
            return rollout
        if waits := self._lacks_cameras(rollout, traffic):
            return await self._noted(rollout, waits)
        to_come = routes.usable_stages(rollout, traffic.cameras, self._pick)
        stage = to_come[0]
        weight = rollout.plan.stages[stage]
        why = f"stage {stage + 1} of {len(rollout.plan.stages)}: {rollout.arm} to {weight:g}%"
        wanted = routes.at_stage(rollout, stage)
        added = await self._written(rollout, wanted, why)
        if added is None:
            return await self._cancelled(rollout)
        entered = steps.entered(
            rollout, stage, to_come=len(to_come), revision=added.revision, at=added.at
        )
        await self._store.put_rollout(entered)
        _log.info("rollout_stage", rollout=rollout.id, route=rollout.route, weight=weight)
        return entered

    async def _taken_up(self, rollout: Rollout, present: RouteRevision) -> Rollout:
        """Return the rollout with a step that was cut off between the route and itself."""
        stage = routes.stage_of(rollout, present.route)
        if present.route == rollout.before:
            taken = steps.ended(
                rollout, RolloutState.ROLLED_BACK, "rolled back; a restart cut in", present.at
            )
        elif stage is None or stage <= rollout.stage:
            taken = rollout
        else:
            traffic = await self._traffic(rollout)
            to_come = len(routes.usable_stages(rollout, traffic.cameras, self._pick))
            taken = steps.entered(
                rollout, stage, to_come=to_come, revision=present.revision, at=present.at
            )
        taken = taken.model_copy(update={"revision": present.revision})
        # It has sorted windows by the old revision; the next one reads them anew.
        self._readers.pop(rollout.id, None)
        await self._store.put_rollout(taken)
        return taken

    async def _end(self, rollout: Rollout, route: Route, state: RolloutState, note: str) -> Rollout:
        present = (await self._store.routes()).get(rollout.route)
        if present is None or present.route != route:
            verb = "ends" if state is not RolloutState.ROLLED_BACK else "rolls back"
            added = await self._written(rollout, route, f"{verb}: {note}")
            if added is None:
                return await self._cancelled(rollout)
            rollout = rollout.model_copy(update={"revision": added.revision})
        over = steps.ended(rollout, state, note, await self._clock())
        await self._store.put_rollout(over)
        await self._store.audit(rollout.writer, f"rollout.{state}", rollout.id, note)
        self._readers.pop(rollout.id, None)
        _log.info("rollout_ended", rollout=rollout.id, route=rollout.route, state=state, why=note)
        return over

    async def _cancelled(self, rollout: Rollout) -> Rollout:
        found = (await self._store.routes()).get(rollout.route)
        who = "somebody" if found is None else f"{found.who} (revision {found.revision})"
        note = f"{who} changed the route meanwhile; it stays as they set it"
        over = steps.ended(rollout, RolloutState.CANCELLED, note, await self._clock())
        await self._store.put_rollout(over)
        await self._store.audit(rollout.writer, "rollout.cancelled", rollout.id, note)
        self._readers.pop(rollout.id, None)
        _log.warning("rollout_cancelled", rollout=rollout.id, route=rollout.route, why=note)
        return over

    async def _written(self, rollout: Rollout, route: Route, why: str) -> RouteRevision | None:
        """Change the route; None where somebody else has meanwhile."""
        try:
            return await self._set_route(
                route, who=rollout.writer, why=why, expected_revision=rollout.revision
            )
        except RouteConflict:
            return None

    async def _noted(self, rollout: Rollout, note: str) -> Rollout:
        if rollout.note == note:
            return rollout
        noted = rollout.model_copy(update={"note": note})
        await self._store.put_rollout(noted)
        return noted

    async def _traffic(self, rollout: Rollout) -> RolloutTraffic:
        reader = self._readers.get(rollout.id)
        if reader is None:
            reader = self._readers[rollout.id] = WindowReader(self._store, rollout)
        return await reader.refresh(rollout)


def _at_the_last(rollout: Rollout) -> bool:
    return rollout.stage == len(rollout.plan.stages) - 1
