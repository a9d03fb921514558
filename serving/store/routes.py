"""Queries on routes: every change is a new revision."""

from datetime import UTC, datetime

from sqlalchemy import RowMapping, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.errors import RouteConflict
from serving.store import audit, generation
from serving.store.tables import route_revisions as table
from serving.store.values import Route, RouteRevision


def _revision(row: RowMapping) -> RouteRevision:
    return RouteRevision(
        revision=row["revision"],
        route=Route.model_validate(row["route"]),
        at=row["at"],
        who=row["who"],
        why=row["why"],
    )


async def newest(connection: AsyncConnection) -> dict[str, RouteRevision]:
    """Return the newest revision of each route, by its name."""
    latest = select(func.max(table.c.revision)).group_by(table.c.name)
    query = select(table).where(table.c.revision.in_(latest)).order_by(table.c.name)
    rows = (await connection.execute(query)).mappings()
    return {row["name"]: _revision(row) for row in rows}


async def latest_revision(connection: AsyncConnection) -> int:
    """Return the newest revision of all routes; 0 where there is none."""
    return await connection.scalar(select(func.max(table.c.revision))) or 0


async def history(connection: AsyncConnection, name: str, limit: int = 50) -> list[RouteRevision]:
    """Return at most `limit` revisions of a route, newest first."""
    query = select(table).where(table.c.name == name).order_by(table.c.revision.desc())
    return [_revision(row) for row in (await connection.execute(query.limit(limit))).mappings()]


async def between(
    connection: AsyncConnection, *, since: datetime, until: datetime
) -> list[RouteRevision]:
    """Return the revisions that held in a time, the oldest first: those before it that went on too.

    Args:
        connection: In a transaction.
        since: UTC.
        until: UTC, not included.
    """
    before = select(func.max(table.c.revision)).where(table.c.at < since).group_by(table.c.name)
    within = (table.c.at >= since) & (table.c.at < until)
    query = select(table).where(within | table.c.revision.in_(before)).order_by(table.c.revision)
    return [_revision(row) for row in (await connection.execute(query)).mappings()]


async def put(
    connection: AsyncConnection,
    route: Route,
    *,
    who: str,
    why: str,
    expected_revision: int | None = None,
) -> RouteRevision:
    """Add a revision of a route, and its audit entry.

    Args:
        connection: In a write transaction.
        route: The wanted state.
        who: Name of the key that asks.
        why: The operator's words.
        expected_revision: The route's newest revision as the caller knows it (0: no such route
            yet); None: whatever it is.

    Raises:
        RouteConflict: Someone else changed the route meanwhile.
    """
    query = select(func.max(table.c.revision)).where(table.c.name == route.name)
    current = await connection.scalar(query) or 0
    if expected_revision is not None and expected_revision != current:
        raise RouteConflict(
            f"route {route.name!r} is at revision {current}, and the change was made for "
            f"{expected_revision}: look at it again and repeat the change"
        )
    added = await _add(connection, route, who, why)
    arms = " ".join(f"{arm.name}={arm.release}:{arm.weight:g}" for arm in route.arms)
    detail = f"revision {added.revision}: {arms}; {why}"
    await audit.add(connection, who, "route.set", route.name, detail)
    await generation.grow(connection)
    return added


async def _add(connection: AsyncConnection, route: Route, who: str, why: str) -> RouteRevision:
    at = datetime.now(UTC)
    values = {"name": route.name, "route": route.model_dump(mode="json"), "at": at}
    result = await connection.execute(insert(table).values(**values, who=who, why=why))
    revision = result.inserted_primary_key
    if revision is None:  # pragma: no cover - the insert above has one
        raise RuntimeError("the database gave no revision")
    return RouteRevision(revision=revision[0], route=route, at=at, who=who, why=why)
