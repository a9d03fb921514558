"""Queries on what was done in a time: who moved what, and how it ended."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from serving.store import audit, rollouts, routes
from serving.store.rollouts_values import Rollout
from serving.store.values import AuditEntry, Frozen, RouteRevision


class Happened(Frozen):
    """What was done in a time.

    Attributes:
        revisions: Of all routes, the oldest first; what held at its beginning is of before it.
        rollouts: That were under way, the oldest first.
        audit: Entries, the newest first.
    """

    revisions: tuple[RouteRevision, ...]
    rollouts: tuple[Rollout, ...]
    audit: tuple[AuditEntry, ...]


async def between(
    connection: AsyncConnection, *, since: datetime, until: datetime, audit_limit: int
) -> Happened:
    """Return what was done at `since` or later, and before `until`.

    Args:
        connection: In a transaction.
        since: UTC.
        until: UTC.
        audit_limit: At most so many entries, the newest.
    """
    return Happened(
        revisions=tuple(await routes.between(connection, since=since, until=until)),
        rollouts=tuple(await rollouts.between(connection, since=since, until=until)),
        audit=tuple(await audit.between(connection, since=since, until=until, limit=audit_limit)),
    )
