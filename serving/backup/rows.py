"""The store's tables as lines of JSON: the same from either database, at any revision."""

import base64
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    Connection,
    DateTime,
    LargeBinary,
    MetaData,
    Table,
    func,
    insert,
    select,
    text,
)

from serving.store.tables import metadata

# Of rows that are read or written at once.
_ROWS = 500


def tables(connection: Connection) -> list[Table]:
    """Return the store's tables as they are in a database, whatever its revision."""
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name in metadata.tables, resolve_fks=False)
    for table in found.tables.values():
        for column in table.columns:
            if isinstance(column.type, JSON):
                column.type = JSON(none_as_null=True)
    return sorted(found.tables.values(), key=lambda table: table.name)


def count(connection: Connection, table: Table) -> int:
    """Return how many rows a table has."""
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def dump(connection: Connection, table: Table, write: Callable[[bytes], None]) -> int:
    """Write a table, one line a row, and return how many there were."""
    options = {"yield_per": _ROWS}
    written = 0
    for row in connection.execute(select(table), execution_options=options).mappings():
        write(
            orjson.dumps(
                {str(k): v for k, v in row.items()},
                default=_as_text,
                option=orjson.OPT_APPEND_NEWLINE,
            )
        )
        written += 1
    return written


def load(connection: Connection, table: Table, lines: Iterable[bytes]) -> int:
    """Write lines into an empty table, and return how many there were.

    Raises:
        ValueError: A line is none of this table's.
        SQLAlchemyError: The database does not take one.
    """
    written = 0
    for batch in _batches(lines):
        connection.execute(insert(table), [_values(table, line) for line in batch])
        written += len(batch)
    if connection.dialect.name == "postgresql":
        count_on(connection, table)
    return written


def _as_text(value: object) -> str:
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} has no place in a backup")


def _values(table: Table, line: bytes) -> dict[str, Any]:
    row = orjson.loads(line)
    if not isinstance(row, dict) or row.keys() != set(table.columns.keys()):
        raise ValueError(f"a line is no row of {table.name}")
    return {name: _value(table.columns[name].type, value) for name, value in row.items()}


def _value(kind: object, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, DateTime):
        return datetime.fromisoformat(value)
    return base64.b64decode(value) if isinstance(kind, LargeBinary) else value


def count_on(connection: Connection, table: Table) -> None:
    """Have PostgreSQL number the next row after the ones that brought their numbers along."""
    (key, *others) = table.primary_key.columns
    if others or (key.default is None and key.server_default is None):
        return
    newest = connection.execute(select(func.max(key))).scalar()
    if newest is not None:
        sequence = func.pg_get_serial_sequence(table.name, key.name)
        connection.execute(select(func.setval(sequence, newest)))


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for line in lines:
        batch.append(line)
        if len(batch) == _ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def drop(connection: Connection) -> None:
    """Remove the store's tables, its schema's mark included."""
    found = tables(connection)
    if found:
        found[0].metadata.drop_all(connection)
    connection.execute(text("DROP TABLE IF EXISTS alembic_version"))
