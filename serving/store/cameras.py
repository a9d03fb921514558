"""Queries on cameras, which traffic makes known and the operator describes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Table, case, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.store.observations import Camera, Sighting
from serving.store.tables import cameras as table

_INSERT: dict[str, Callable[[Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


async def see(connection: AsyncConnection, seen: Mapping[str, datetime]) -> None:
    """Write when cameras were last seen; unknown ones become known.

    Args:
        connection: In a write transaction.
        seen: When, UTC, by camera id. What gateways tell out of order does no harm.
    """
    if not seen:
        return
    adding = _INSERT[connection.dialect.name](table)
    first, last = adding.excluded.first_seen, adding.excluded.last_seen
    query = adding.on_conflict_do_update(
        index_elements=[table.c.id],
        set_={
            "first_seen": case((table.c.first_seen < first, table.c.first_seen), else_=first),
            "last_seen": case((table.c.last_seen > last, table.c.last_seen), else_=last),
        },
    )
    rows = [
        Camera(id=camera_id, first_seen=at, last_seen=at).model_dump()
        # In one order: so nothing here ever waits in a circle.
        for camera_id, at in sorted(seen.items())
    ]
    await connection.execute(query, rows)


async def every(connection: AsyncConnection) -> list[Camera]:
    """Return all cameras, by id."""
    rows = (await connection.execute(select(table).order_by(table.c.id))).mappings()
    return [Camera.model_validate(dict(row)) for row in rows]


async def sightings(connection: AsyncConnection) -> list[Sighting]:
    """Return when each camera was last seen, and what was expected of it."""
    columns = (table.c.group, table.c.expected_fps, table.c.last_seen)
    return [Sighting(*row) for row in await connection.execute(select(*columns))]


async def one(connection: AsyncConnection, camera_id: str) -> Camera | None:
    """Return one camera, or None."""
    query = select(table).where(table.c.id == camera_id)
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else Camera.model_validate(dict(row))


async def put(connection: AsyncConnection, camera: Camera) -> None:
    """Add a camera, or replace the operator's words on it: when it was seen stays as it is."""
    values = camera.model_dump()
    words = {name: values[name] for name in ("group", "expected_fps", "note")}
    known = update(table).where(table.c.id == camera.id).values(**words)
    if (await connection.execute(known)).rowcount == 0:
        await connection.execute(insert(table).values(**values))


async def put_all(connection: AsyncConnection, cameras: Sequence[Camera]) -> None:
    """Put several cameras, all or none; see `put`."""
    for camera in cameras:
        await put(connection, camera)


async def forget(connection: AsyncConnection, camera_id: str) -> None:
    """Remove a camera; its next frame makes it known again."""
    await connection.execute(delete(table).where(table.c.id == camera_id))


async def forget_strange(connection: AsyncConnection, *, before: datetime) -> None:
    """Remove cameras that the operator never described and nobody has seen since `before`, UTC.

    A camera's id is its client's to choose: without this one that changes would fill the table.
    """
    unsaid = (table.c.group == "") & (table.c.note == "") & table.c.expected_fps.is_(None)
    await connection.execute(delete(table).where(unsaid, table.c.last_seen < before))
