"""The admin API's calls on the past: what a report is made of."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, Field

from serving.access.authenticator import Authenticator
from serving.api.admin_models import Message, RouteInfo
from serving.api.admin_rollouts import RolloutInfo
from serving.api.auth import requires
from serving.errors import InvalidField
from serving.store.happened import Happened
from serving.store.observations import AgreementSums, Histogram
from serving.store.store import Store
from serving.store.values import ApiKey, AuditEntry, Scope
from serving.store.window_sums import WindowSums

# What one call adds up: seconds of work, not minutes.
LONGEST_S = 2 * 86_400
_MOST_STEPS = 1000
_MOST_ENTRIES = 10_000

Caller = Callable[[Request], Awaitable[ApiKey]]
Since = Annotated[AwareDatetime, Query(description="ISO 8601 with its zone")]
Until = Annotated[AwareDatetime, Query(description="likewise, not included")]


class TrafficStep(Message):
    """What one arm of one route did in one step; see the store's `WindowSums`."""

    start: datetime
    route: str
    arm: str
    release: str
    kind: str = Field(description="primary, fallback, or shadow")
    codes: dict[str, int] = Field(description="requests by the code they ended in; ok: answered")
    latency: Histogram = Field(
        description="answers by bucket: bucket i begins at 0.0001 * 1.05^i seconds"
    )
    agreement: AgreementSums | None = Field(description="of shadow steps; sums over the frames")

    @classmethod
    def of(cls, start: datetime, sums: WindowSums) -> Self:
        """Return what is told of one step."""
        values = {name: getattr(sums, name) for name in cls.model_fields if name in _SAME}
        return cls(start=start, release=str(sums.release), **values)


_SAME = frozenset({"route", "arm", "kind", "codes", "latency", "agreement"})


class HappenedInfo(Message):
    """What was done in a time."""

    revisions: tuple[RouteInfo, ...] = Field(
        description="of routes, oldest first; what held at the beginning is of before it"
    )
    rollouts: tuple[RolloutInfo, ...]
    audit: tuple[AuditEntry, ...] = Field(description=f"the newest {_MOST_ENTRIES}, newest first")
    audit_complete: bool = Field(description="false: older entries of the time are left out")

    @classmethod
    def of(cls, happened: Happened) -> Self:
        """Return what is told of it."""
        return cls(
            revisions=tuple(map(RouteInfo.of, happened.revisions)),
            rollouts=tuple(map(RolloutInfo.of, happened.rollouts)),
            audit=happened.audit[:_MOST_ENTRIES],
            audit_complete=len(happened.audit) <= _MOST_ENTRIES,
        )


def period_router(store: Store, authenticator: Authenticator) -> APIRouter:
    """Return the calls; each asks for a key of scope operate.

    Args:
        store: Read directly: nothing moves.
        authenticator: Checks keys.
    """
    router = APIRouter(prefix="/period", tags=["period"])
    operator = requires(authenticator, Scope.OPERATE)

    @router.get("/traffic")
    async def traffic(
        _: Annotated[ApiKey, Depends(operator)],
        since: Since,
        until: Until,
        step_s: Annotated[int, Query(ge=5, le=3600)] = 3600,
    ) -> list[TrafficStep]:
        """Traffic by step, route, arm, release and kind; at most two days a call."""
        since, until = _utc("since", since), _utc("until", until)
        _check(since, until, step_s)
        found = []
        for start in _starts(since, until, step_s):
            end = min(start + timedelta(seconds=step_s), until)
            sums = await store.window_sums(since=start, until=end)
            found += [TrafficStep.of(start, one) for one in sums]
        return found

    @router.get("/happened")
    async def happened(
        _: Annotated[ApiKey, Depends(operator)], since: Since, until: Until
    ) -> HappenedInfo:
        """Route changes, rollouts and the audit log of a time."""
        return HappenedInfo.of(
            await store.happened(
                since=_utc("since", since),
                until=_utc("until", until),
                # One more tells whether that is all.
                audit_limit=_MOST_ENTRIES + 1,
            )
        )

    return router


def _utc(field: str, at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise InvalidField(field, f"{field}: {at.isoformat()} is no time in UTC") from None


def _check(since: datetime, until: datetime, step_s: int) -> None:
    span_s = (until - since).total_seconds()
    if not 0 < span_s <= LONGEST_S:
        raise InvalidField(
            "until", f"until: {span_s:g} s after since; a call takes above 0 to {LONGEST_S} s"
        )
    if span_s / step_s > _MOST_STEPS:
        raise InvalidField(
            "step_s",
            f"step_s: {step_s} s makes {span_s / step_s:.0f} steps, and a call takes "
            f"{_MOST_STEPS}; ask for longer ones",
        )


def _starts(since: datetime, until: datetime, step_s: int) -> Iterable[datetime]:
    start = since
    while start < until:
        yield start
        start += timedelta(seconds=step_s)
