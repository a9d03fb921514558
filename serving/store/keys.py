"""Queries on API keys."""

from datetime import UTC, datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.errors import UnknownKey
from serving.store.tables import api_keys as table
from serving.store.values import ApiKey


async def add(connection: AsyncConnection, key: ApiKey) -> None:
    """Add a key; its id must be new."""
    await connection.execute(
        insert(table).values(**key.model_dump(exclude={"scope"}), scope=key.scope.value)
    )


async def one(connection: AsyncConnection, key_id: str) -> ApiKey | None:
    """Return the key of this id, or None."""
    row = (await connection.execute(select(table).where(table.c.id == key_id))).mappings().first()
    return None if row is None else ApiKey.model_validate(dict(row))


async def every(connection: AsyncConnection) -> list[ApiKey]:
    """Return all keys, the oldest first, revoked ones too."""
    rows = (await connection.execute(select(table).order_by(table.c.created))).mappings()
    return [ApiKey.model_validate(dict(row)) for row in rows]


async def limit(
    connection: AsyncConnection, key_id: str, frames_per_second: float | None
) -> ApiKey:
    """Let a key's holders have so many frames a second answered; None: without limit.

    Raises:
        UnknownKey: No key has this id.
    """
    mine = update(table).where(table.c.id == key_id)
    await connection.execute(mine.values(frames_per_second=frames_per_second))
    return await _known(connection, key_id)


async def end(connection: AsyncConnection, key_id: str, at: datetime) -> ApiKey:
    """Have a key end at a time, UTC; one that ends before does so still.

    Raises:
        UnknownKey: No key has this id.
    """
    later = table.c.expires.is_(None) | (table.c.expires > at)
    await connection.execute(update(table).where((table.c.id == key_id) & later).values(expires=at))
    return await _known(connection, key_id)


async def revoke(connection: AsyncConnection, key_id: str) -> ApiKey:
    """Revoke a key from now on; a second time changes nothing.

    Raises:
        UnknownKey: No key has this id.
    """
    mine = (table.c.id == key_id) & table.c.revoked.is_(None)
    await connection.execute(update(table).where(mine).values(revoked=datetime.now(UTC)))
    return await _known(connection, key_id)


async def _known(connection: AsyncConnection, key_id: str) -> ApiKey:
    found = await one(connection, key_id)
    if found is None:
        raise UnknownKey("id", f"id: no key {key_id!r}; `understudy key list` shows them all")
    return found
