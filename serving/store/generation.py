"""One number that grows with each change of what gateways act by: routes, releases, placements."""

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.store.tables import generation as table


async def current(connection: AsyncConnection) -> int:
    """Return the number; 0 before the first change."""
    return await connection.scalar(select(table.c.value)) or 0


async def grow(connection: AsyncConnection) -> None:
    """Raise the number, in the transaction of the change."""
    changed = await connection.execute(update(table).values(value=table.c.value + 1))
    if changed.rowcount == 0:
        await connection.execute(insert(table).values(id=1, value=1))
