"""The admin API's calls on rollouts."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from serving.access.authenticator import Authenticator
from serving.api.admin_models import Message
from serving.api.auth import requires
from serving.controlplane.rollouts import Rollouts
from serving.errors import RolloutNotFound
from serving.store.rollouts_values import Evidence, Rollout, RolloutPlan, RolloutState
from serving.store.store import Store
from serving.store.values import ApiKey, Scope

Limit = Annotated[int, Query(ge=1, le=1000)]
Caller = Callable[[Request], Awaitable[ApiKey]]
_WHY = "your words, kept with the rollout and the audit"


class RolloutRequest(RolloutPlan):
    """A plan, and why."""

    why: str = Field(default="", max_length=1000, description=_WHY)

    def plan(self) -> RolloutPlan:
        """Return the plan alone."""
        return RolloutPlan(**self.model_dump(exclude={"why"}))


class WhyRequest(Message):
    """Why a rollout is paused, resumed, cancelled or rolled back."""

    why: str = Field(default="", max_length=1000, description=_WHY)


class RolloutInfo(Message):
    """A rollout as it stands."""

    id: str
    route: str
    arm: str
    state: RolloutState
    weight: float | None = Field(description="percent; null before the first stage")
    stage: int = Field(description="of the plan's, from 0; -1 before the first")
    plan: RolloutPlan
    started: datetime
    stage_started: datetime
    updated: datetime
    who: str
    why: str
    note: str = Field(description="what it waits for; at its end, how that came")
    revision: int = Field(description="the newest of the route's that it has written")
    evidence: tuple[Evidence, ...] = Field(
        description="the newest look of each stage at each guardrail"
    )

    @classmethod
    def of(cls, rollout: Rollout) -> Self:
        """Return what is told of a rollout."""
        own = {"before", "looks", "over", "stage_alpha", "spent_alpha"}
        values = rollout.model_dump(exclude=own)
        return cls(route=rollout.route, arm=rollout.arm, weight=rollout.weight, **values)


def rollouts_router(
    rollouts: Callable[[], Rollouts], store: Store, authenticator: Authenticator
) -> APIRouter:
    """Return the calls; every one asks for a key of scope operate.

    Args:
        rollouts: Returns who moves them, or raises where another controller does.
        store: Read directly where nothing moves.
        authenticator: Checks keys.
    """
    router = APIRouter(prefix="/rollouts", tags=["rollouts"])
    operator = requires(authenticator, Scope.OPERATE)
    _reads(router, store, operator)
    _changes(router, rollouts, operator)
    return router


def _reads(router: APIRouter, store: Store, operator: Caller) -> None:
    @router.get("")
    async def list_rollouts(
        _: Annotated[ApiKey, Depends(operator)], route: str | None = None, limit: Limit = 20
    ) -> list[RolloutInfo]:
        """The newest rollouts, of one route or of all, newest first."""
        return [RolloutInfo.of(one) for one in await store.rollouts(route, limit)]

    @router.get("/{rollout_id}")
    async def show_rollout(rollout_id: str, _: Annotated[ApiKey, Depends(operator)]) -> RolloutInfo:
        """One rollout."""
        found = await store.rollout(rollout_id)
        if found is None:
            raise RolloutNotFound(
                f"no rollout {rollout_id!r}; `understudy rollout show` lists them"
            )
        return RolloutInfo.of(found)


def _changes(router: APIRouter, rollouts: Callable[[], Rollouts], operator: Caller) -> None:
    @router.post("", status_code=HTTPStatus.CREATED)
    async def start(
        wanted: RolloutRequest, caller: Annotated[ApiKey, Depends(operator)]
    ) -> RolloutInfo:
        """Begin a rollout; it goes on by itself and rolls itself back."""
        return RolloutInfo.of(
            await rollouts().start(wanted.plan(), who=caller.name, why=wanted.why)
        )

    @router.post("/{rollout_id}/pause")
    async def pause(
        rollout_id: str, wanted: WhyRequest, caller: Annotated[ApiKey, Depends(operator)]
    ) -> RolloutInfo:
        """Stay at the present stage; the guardrails go on watching."""
        return RolloutInfo.of(await rollouts().pause(rollout_id, who=caller.name, why=wanted.why))

    @router.post("/{rollout_id}/resume")
    async def resume(
        rollout_id: str, wanted: WhyRequest, caller: Annotated[ApiKey, Depends(operator)]
    ) -> RolloutInfo:
        """Let a paused rollout go on."""
        return RolloutInfo.of(await rollouts().resume(rollout_id, who=caller.name, why=wanted.why))

    @router.post("/{rollout_id}/cancel")
    async def cancel(
        rollout_id: str, wanted: WhyRequest, caller: Annotated[ApiKey, Depends(operator)]
    ) -> RolloutInfo:
        """End it with the weights as they are now."""
        return RolloutInfo.of(await rollouts().cancel(rollout_id, who=caller.name, why=wanted.why))

    @router.post("/{rollout_id}/rollback")
    async def roll_back(
        rollout_id: str, wanted: WhyRequest, caller: Annotated[ApiKey, Depends(operator)]
    ) -> RolloutInfo:
        """End it with the weights as they were before it."""
        return RolloutInfo.of(
            await rollouts().roll_back(rollout_id, who=caller.name, why=wanted.why)
        )
