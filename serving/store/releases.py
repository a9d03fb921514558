"""Queries on releases."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, RowMapping, and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.errors import ReleaseBusy, ReleaseNotFound
from serving.store import generation
from serving.store.tables import releases as table
from serving.store.values import Release, ReleaseKey, ReleaseState


def _is(key: ReleaseKey) -> ColumnElement[bool]:
    return and_(table.c.model == key.model, table.c.version == key.version)


def _release(row: RowMapping) -> Release:
    values = dict(row)
    key = ReleaseKey(model=values.pop("model"), version=values.pop("version"))
    return Release(key=key, **values)


async def every(connection: AsyncConnection) -> list[Release]:
    """Return all releases, the oldest first."""
    query = select(table).order_by(table.c.created, table.c.model, table.c.version)
    return [_release(row) for row in (await connection.execute(query)).mappings()]


async def one(connection: AsyncConnection, key: ReleaseKey) -> Release | None:
    """Return the release of this name and version, or None."""
    row = (await connection.execute(select(table).where(_is(key)))).mappings().first()
    return None if row is None else _release(row)


async def put(connection: AsyncConnection, release: Release) -> None:
    """Add a release, or replace the one of its name and version."""
    values = release.model_dump(mode="python", exclude={"key"})
    values |= {"state": release.state.value, "model": release.key.model}
    values |= {"version": release.key.version, "class_names": list(release.class_names)}
    values |= {"operating_thresholds": list(release.operating_thresholds)}
    changed = await connection.execute(update(table).where(_is(release.key)).values(**values))
    if changed.rowcount == 0:
        await connection.execute(insert(table).values(**values))
    await generation.grow(connection)


async def move(
    connection: AsyncConnection,
    key: ReleaseKey,
    to: ReleaseState,
    *,
    expect: AbstractSet[ReleaseState],
    reason: str = "",
) -> Release:
    """Give a release another state if it is in one of `expect`.

    Raises:
        ReleaseNotFound: No release has this name and version.
        ReleaseBusy: It is in another state.
    """
    await _move(connection, key, to, expect, reason)
    await generation.grow(connection)
    return await _found(connection, key)


async def move_all(
    connection: AsyncConnection,
    moves: Mapping[ReleaseKey, tuple[ReleaseState, AbstractSet[ReleaseState]]],
) -> None:
    """Give releases other states, all or none.

    Args:
        connection: In a write transaction.
        moves: Where each goes, and the states that it may be in before.

    Raises:
        ReleaseNotFound: No release has such a name and version.
        ReleaseBusy: One is in another state.
    """
    for key, (to, expect) in moves.items():
        await _move(connection, key, to, expect, "")
    if moves:
        await generation.grow(connection)


async def resize(connection: AsyncConnection, key: ReleaseKey, workers: int) -> Release:
    """Write on how many workers a release runs; its state stays as it is.

    Raises:
        ReleaseNotFound: No release has this name and version.
    """
    found = await _found(connection, key)
    resized = found.model_copy(update={"workers": workers, "updated": datetime.now(UTC)})
    await put(connection, resized)
    return resized


async def _move(
    connection: AsyncConnection,
    key: ReleaseKey,
    to: ReleaseState,
    expect: AbstractSet[ReleaseState],
    reason: str,
) -> None:
    values = {"state": to.value, "reason": reason, "updated": datetime.now(UTC)}
    is_expected = table.c.state.in_([state.value for state in expect])
    moved = await connection.execute(update(table).where(_is(key), is_expected).values(**values))
    if moved.rowcount == 0:
        found = await _found(connection, key)
        wanted = ", ".join(sorted(expect))
        raise ReleaseBusy(f"release {key} is {found.state}; this needs it to be {wanted}")


async def _found(connection: AsyncConnection, key: ReleaseKey) -> Release:
    found = await one(connection, key)
    if found is None:
        raise ReleaseNotFound(f"no release {key} here: `understudy deploy` its archive")
    return found
