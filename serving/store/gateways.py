"""Queries on gateways' heartbeats, and the question they answer: who still holds a release?"""

from datetime import timedelta

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.store import clock
from serving.store.tables import gateways as table
from serving.store.values import GatewayStatus, ReleaseKey

# A crashed gateway leaves its row. So long that no step of the database's clock reaches as far:
# the row of a gateway that lives must never go.
FORGOTTEN_AFTER = timedelta(days=1)
LIVE_FOR = timedelta(seconds=5)


async def join(connection: AsyncConnection, gateway_id: str) -> None:
    """Add a gateway: before it first reads the routes, so that no drain overlooks it."""
    at = await clock.now(connection)
    forgotten = (table.c.heartbeat < at - FORGOTTEN_AFTER) | (table.c.id == gateway_id)
    await connection.execute(delete(table).where(forgotten))
    values = {"id": gateway_id, "started": at, "heartbeat": at, "beat": 0, "in_flight": {}}
    await connection.execute(insert(table).values(**values, revision=-1))


async def beat(
    connection: AsyncConnection, gateway_id: str, revision: int, in_flight: dict[str, int]
) -> int:
    """Write what a gateway has applied and what it holds; one that was forgotten comes back.

    Both must be read at one moment, with no await between them.

    Args:
        connection: In a write transaction.
        gateway_id: Unique to the process.
        revision: The newest that it has applied.
        in_flight: Requests that it has sent and not yet got back, by "MODEL-VERSION".

    Returns:
        How many gateways have beaten within the last 5 seconds, this one included.
    """
    at = await clock.now(connection)
    values = {"heartbeat": at, "revision": revision, "in_flight": in_flight}
    mine = update(table).where(table.c.id == gateway_id)
    changed = await connection.execute(mine.values(**values, beat=table.c.beat + 1))
    if changed.rowcount == 0:
        await connection.execute(insert(table).values(**values, id=gateway_id, started=at, beat=1))
    live = select(func.count()).select_from(table).where(table.c.heartbeat > at - LIVE_FOR)
    return await connection.scalar(live) or 0


async def leave(connection: AsyncConnection, gateway_id: str) -> None:
    """Remove a gateway that has stopped with nothing in flight, or that was seen to die."""
    await connection.execute(delete(table).where(table.c.id == gateway_id))


async def every(connection: AsyncConnection) -> list[GatewayStatus]:
    """Return the gateways' last heartbeats, the oldest gateway first."""
    rows = (
        await connection.execute(select(table).order_by(table.c.started, table.c.id))
    ).mappings()
    return [GatewayStatus.model_validate(dict(row)) for row in rows]


async def behind(
    connection: AsyncConnection, revision: int, *, heard_within: timedelta
) -> list[str]:
    """Return the ids of gateways that have not applied a revision, silent ones left out.

    Args:
        connection: In a transaction.
        revision: The one that they should have applied.
        heard_within: How old a heartbeat may be, by the database's clock.
    """
    heard = table.c.heartbeat >= await clock.now(connection) - heard_within
    query = select(table.c.id).where(table.c.revision < revision, heard)
    return list(await connection.scalars(query.order_by(table.c.id)))


async def holders(
    connection: AsyncConnection, key: ReleaseKey, revision: int
) -> list[GatewayStatus]:
    """Return the gateways that hold, or can still send, work for a release; silent ones too.

    Whoever drains may leave out one whose `beat` stood still for its lease and the longest
    deadline, by the drainer's own clock.

    Args:
        connection: In a transaction: all gateways are seen at one moment.
        key: The release.
        revision: The first one that no longer names the release.
    """
    return [
        status
        for status in await every(connection)
        if status.revision < revision or status.in_flight.get(str(key), 0) > 0
    ]
