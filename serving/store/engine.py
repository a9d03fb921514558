"""The database engine: the only place that knows SQLite's ways."""

from contextlib import closing
from typing import Any

from sqlalchemy import Connection, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from serving.errors import ConfigurationError

# A writer waits this long for another's transaction; ours last milliseconds.
BUSY_TIMEOUT_S = 10.0


def create_engine(url: str) -> AsyncEngine:
    """Return an engine whose transactions take the write lock at their start.

    SQLite gives a transaction that reads first and writes later no second chance: it fails with
    "database is locked" at once, whatever the timeout. `BEGIN IMMEDIATE` waits instead.

    Args:
        url: "sqlite+aiosqlite:///FILE".

    Raises:
        ConfigurationError: The URL is not one that the store can use.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(
            f"store url: {url!r} is not a database URL; use sqlite+aiosqlite:///FILE"
        ) from error
    if parsed.drivername != "sqlite+aiosqlite" or parsed.database in (None, "", ":memory:"):
        raise ConfigurationError(
            f"store url: {url!r} cannot be used; the store is a file: sqlite+aiosqlite:///FILE"
        )
    engine = create_async_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def reader(engine: AsyncEngine) -> AsyncEngine:
    """Return the same engine for transactions that only read: they never wait for a writer."""
    return engine.execution_options(begin="BEGIN DEFERRED")


def _prepare(connection: Any, _record: object) -> None:
    """Set a new connection up: readers beside a writer, and every commit on the disk."""
    connection.isolation_level = None  # no implicit BEGIN: `_begin` says which kind
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
    except BaseException:
        connection.close()  # the pool does not know it yet, and its thread would live on
        raise


def _begin(connection: Connection) -> None:
    statement = connection.get_execution_options().get("begin", "BEGIN IMMEDIATE")
    connection.exec_driver_sql(statement)
