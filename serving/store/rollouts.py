"""Queries on rollouts."""

from datetime import datetime

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.store.rollouts_values import Rollout, RolloutState
from serving.store.tables import rollouts as table


async def put(connection: AsyncConnection, rollout: Rollout) -> None:
    """Add a rollout, or replace the one of its id."""
    values = {
        "route": rollout.route,
        "state": rollout.state.value,
        "started": rollout.started,
        "rollout": rollout.model_dump(mode="json"),
    }
    known = update(table).where(table.c.id == rollout.id).values(**values)
    if (await connection.execute(known)).rowcount == 0:
        await connection.execute(insert(table).values(id=rollout.id, **values))


async def one(connection: AsyncConnection, rollout_id: str) -> Rollout | None:
    """Return one rollout, or None."""
    query = select(table.c.rollout).where(table.c.id == rollout_id)
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else _rollout(row)


async def newest(
    connection: AsyncConnection, route: str | None = None, limit: int = 50
) -> list[Rollout]:
    """Return at most `limit` rollouts, newest first.

    Args:
        connection: In a transaction.
        route: Only this route's; None: of all.
        limit: At most so many.
    """
    query = select(table.c.rollout).order_by(table.c.started.desc(), table.c.id).limit(limit)
    if route is not None:
        query = query.where(table.c.route == route)
    return [_rollout(row) for row in (await connection.execute(query)).mappings()]


async def between(
    connection: AsyncConnection, *, since: datetime, until: datetime
) -> list[Rollout]:
    """Return the rollouts that were under way in a time, the oldest first.

    Args:
        connection: In a transaction.
        since: UTC.
        until: UTC, not included.
    """
    query = select(table.c.rollout).where(table.c.started < until)
    query = query.order_by(table.c.started, table.c.id)
    found = [_rollout(row) for row in (await connection.execute(query)).mappings()]
    return [one for one in found if not one.state.ended or one.updated >= since]


async def under_way(connection: AsyncConnection) -> list[Rollout]:
    """Return the rollouts that have not ended, the oldest first."""
    states = [state.value for state in RolloutState if not state.ended]
    query = select(table.c.rollout).where(table.c.state.in_(states))
    query = query.order_by(table.c.started, table.c.id)
    return [_rollout(row) for row in (await connection.execute(query)).mappings()]


def _rollout(row: RowMapping) -> Rollout:
    return Rollout.model_validate(row["rollout"])
