"""Stores of every earlier version are brought to this one, whatever they hold."""

from pathlib import Path
from typing import Any

import pytest
from full_store import fill, read, works
from sqlalchemy import JSON, Connection, DateTime, Integer, LargeBinary, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from serving.backup import rows
from serving.store.engine import create_engine
from serving.store.migrate import revision_of, revisions, upgrade
from serving.store.store import open_store
from serving.store.tables import metadata

Rows = dict[str, list[dict[str, Any]]]
# What a column holds that this version's store knows nothing of any more.
_OF_A_TYPE: dict[type, Any] = {JSON: {}, Integer: 1, LargeBinary: b"\0"}


@pytest.mark.parametrize("revision", revisions())
async def test_a_store_of_each_revision_keeps_its_rows_and_serves(
    revision: str, store_url: str, tmp_path: Path
) -> None:
    wanted, now = await _of_today(tmp_path)
    engine = create_engine(store_url)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade, revision)
        before = await connection.run_sync(_plant, now)

    async with open_store(store_url) as store:
        after = await _all(engine)
        found = await read(store)
        await works(store)
        at = await _revision(engine)

    await engine.dispose()
    assert at == revisions()[-1]
    for table, planted in before.items():
        assert _columns(after[table], planted) == planted
    # Tables that came later are empty, and columns that came later hold their defaults.
    came_later = set(metadata.tables) - set(before)
    assert {table: after[table] for table in came_later} == {table: [] for table in came_later}
    assert len(found["releases"]) == len(wanted["releases"])
    for part in ("histories", "keys", "audit"):
        assert found[part] == wanted[part]


async def test_the_sample_fills_every_table(tmp_path: Path) -> None:
    """A new table wants a row in `full_store.fill`, or no migration of it is ever tried."""
    _, now = await _of_today(tmp_path)

    assert {table for table, planted in now.items() if planted} == set(metadata.tables)


async def _of_today(tmp_path: Path) -> tuple[dict[str, Any], Rows]:
    """Return what a full store of this version reads, and its rows."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'today.sqlite3'}"
    async with open_store(url) as store:
        await fill(store)
        wanted = await read(store)
    engine = create_engine(url)
    now = await _all(engine)
    await engine.dispose()
    return wanted, now


def _plant(connection: Connection, now: Rows) -> Rows:
    """Put the rows into the tables that there are, as far as these have their columns."""
    planted: Rows = {}
    for table in rows.tables(connection):
        planted[table.name] = [
            {column.name: one.get(column.name, _any(column.type)) for column in table.columns}
            for one in now[table.name]
        ]
        connection.execute(insert(table), planted[table.name])
        if connection.dialect.name == "postgresql":
            rows.count_on(connection, table)
    return planted


def _any(kind: object) -> Any:
    if isinstance(kind, DateTime):
        return None
    return next((value for one, value in _OF_A_TYPE.items() if isinstance(kind, one)), "")


async def _all(engine: AsyncEngine) -> Rows:
    async with engine.connect() as connection:
        return await connection.run_sync(
            lambda opened: {table.name: _rows(opened, table) for table in rows.tables(opened)}
        )


def _rows(connection: Connection, table: Table) -> list[dict[str, Any]]:
    query = select(table).order_by(*table.primary_key.columns)
    return [dict(row) for row in connection.execute(query).mappings()]


def _columns(found: list[dict[str, Any]], planted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if name in one}
        for row, one in zip(found, planted, strict=True)
    ]


async def _revision(engine: AsyncEngine) -> str | None:
    async with engine.connect() as connection:
        return await connection.run_sync(revision_of)
