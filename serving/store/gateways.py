"""Queries on gateways' heartbeats, and the question they answer: is a release drained?"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.store.tables import gateways as table
from serving.store.values import GatewayStatus, ReleaseKey

# A crashed gateway leaves its row; long after any drain it tells nobody anything.
FORGOTTEN_AFTER = timedelta(hours=1)


async def join(connection: AsyncConnection, gateway_id: str) -> None:
    """Add a gateway that has read no route yet; its row holds every drain up from now on."""
    now = datetime.now(UTC)
    forgotten = (table.c.heartbeat < now - FORGOTTEN_AFTER) | (table.c.id == gateway_id)
    await connection.execute(delete(table).where(forgotten))
    values = {"id": gateway_id, "started": now, "heartbeat": now, "revision": -1, "in_flight": {}}
    await connection.execute(insert(table).values(**values))


async def beat(
    connection: AsyncConnection, gateway_id: str, revision: int, in_flight: dict[str, int]
) -> None:
    """Write a gateway's heartbeat; one that was forgotten comes back."""
    values = {"heartbeat": datetime.now(UTC), "revision": revision, "in_flight": in_flight}
    mine = table.c.id == gateway_id
    changed = await connection.execute(update(table).where(mine).values(**values))
    if changed.rowcount == 0:
        values |= {"id": gateway_id, "started": values["heartbeat"]}
        await connection.execute(insert(table).values(**values))


async def leave(connection: AsyncConnection, gateway_id: str) -> None:
    """Remove a gateway that has stopped with nothing in flight."""
    await connection.execute(delete(table).where(table.c.id == gateway_id))


async def every(connection: AsyncConnection) -> list[GatewayStatus]:
    """Return all gateways, the oldest first."""
    rows = (await connection.execute(select(table).order_by(table.c.started))).mappings()
    return [GatewayStatus.model_validate(dict(row)) for row in rows]


async def drained(
    connection: AsyncConnection, key: ReleaseKey, revision: int, silent_after_s: float
) -> bool:
    """Tell whether no gateway holds or will send work for a release.

    Args:
        connection: In a transaction: all gateways are seen at one moment.
        key: The release.
        revision: The first one that no longer names the release.
        silent_after_s: A gateway without a heartbeat for this long, in seconds, counts as gone;
            its lease plus the longest deadline.
    """
    oldest = datetime.now(UTC) - timedelta(seconds=silent_after_s)
    alive = [status for status in await every(connection) if status.heartbeat >= oldest]
    return all(
        status.revision >= revision and status.in_flight.get(str(key), 0) == 0 for status in alive
    )
