"""The database engine: the only place that knows the databases' ways.

Whatever the database, a transaction of the engine is the only writer from its start to its end,
and one of its `reader` sees one moment and never waits.
"""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from serving.errors import ConfigurationError
from serving.store.sqlite_file import SqliteFile

# A writer waits this long for another's transaction; ours last milliseconds.
BUSY_TIMEOUT_S = 10.0
_SWITCH_AGAIN_S = 0.01
# SQLite's codes: what follows the first byte only tells them apart further.
_PRIMARY_CODE = 0xFF
_URLS = "sqlite+aiosqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
# PostgreSQL's advisory locks are numbers, of one database each: any, as long as it stays the same.
_WRITERS = 0x556E6465
_WAIT_MS = round(BUSY_TIMEOUT_S * 1000)
# A process that hangs in the midst of a transaction must not keep all others from writing.
_SESSION = f"-c lock_timeout={_WAIT_MS} -c idle_in_transaction_session_timeout={_WAIT_MS}"
# A host that vanished tells nobody: without these a transaction, and the lease with it, would hang
# for as long as the system's own patience, a quarter of an hour and more.
_KEEPALIVE = {
    "tcp_user_timeout": _WAIT_MS,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


def create_engine(url: str, *, create: bool = True) -> AsyncEngine:
    """Return an engine whose transactions take the write lock at their start.

    Args:
        url: As `open_store` takes it.
        create: Whether SQLite's file is made where it is missing.

    Raises:
        ConfigurationError: The URL is not one that the store can use.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        # Not repeated: it may hold a password.
        raise ConfigurationError(f"store url: this is not a database URL; use {_URLS}") from error
    if parsed.drivername == "postgresql+psycopg" and parsed.database:
        return _postgresql(parsed)
    if parsed.drivername == "sqlite+aiosqlite" and parsed.database not in (None, "", ":memory:"):
        return _sqlite(parsed, create=create)
    raise ConfigurationError(
        f"store url: {parsed.render_as_string()!r} cannot be used; the store is a file or a "
        f"PostgreSQL database: {_URLS}"
    )


def reader(engine: AsyncEngine) -> AsyncEngine:
    """Return the same engine for transactions that only read: they never wait for a writer."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(reads=True)
    return engine.execution_options(
        reads=True, isolation_level="REPEATABLE READ", postgresql_readonly=True
    )


def unusable(url: URL, error: DatabaseError) -> ConfigurationError:
    """Return what to tell where the database at `url` cannot be opened."""
    if url.drivername.startswith("sqlite"):
        hint = "its folder must exist and be writable, and the file must be this program's own"
        return ConfigurationError(f"store: {url.database} cannot be opened ({error.orig}); {hint}")
    hint = "the server must run, and the database exist and belong to the user"
    return ConfigurationError(
        f"store: {url.render_as_string()} cannot be opened ({error.orig}); {hint}"
    )


def _sqlite(url: URL, *, create: bool) -> AsyncEngine:
    if not Path(str(url.database)).parent.is_dir():
        raise ConfigurationError(f"store: {url.database} cannot be opened; its folder must exist")
    engine = create_async_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S}, **_JSON)
    file = SqliteFile(Path(str(url.database)), create=create)
    event.listen(engine.sync_engine, "do_connect", file.name)
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "connect", file.remember)
    event.listen(engine.sync_engine, "checkout", file.must_be_the_same)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    """Set a new connection up: readers beside a writer, and every commit on the disk."""
    connection.isolation_level = None  # no implicit BEGIN: `_begin_sqlite` says which kind
    try:
        with closing(connection.cursor()) as cursor:
            _use_wal(cursor)
            cursor.execute("PRAGMA synchronous=FULL")
    except BaseException:
        connection.close()  # the pool does not know it yet, and its thread would live on
        raise


def _use_wal(cursor: Any) -> None:
    """Switch to the write-ahead log; the file keeps the switch.

    Two that switch a new file at once are told so at once, whatever the timeout: one tries again.
    """
    ends_at = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & _PRIMARY_CODE == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > ends_at:
                raise
            await_only(asyncio.sleep(_SWITCH_AGAIN_S))
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    # SQLite gives a transaction that reads first and writes later no second chance: it fails with
    # "database is locked" at once, whatever the timeout. BEGIN IMMEDIATE waits instead.
    reads = connection.get_execution_options().get("reads", False)
    connection.exec_driver_sql("BEGIN DEFERRED" if reads else "BEGIN IMMEDIATE")


def _postgresql(url: URL) -> AsyncEngine:
    arguments: dict[str, str | int] = {"options": _SESSION, **_KEEPALIVE}
    arguments["connect_timeout"] = round(BUSY_TIMEOUT_S)
    engine = create_async_engine(
        url,
        connect_args=arguments,
        # Writers take turns anyway, and a server has some 100 connections for all processes.
        max_overflow=3,
        # The server may have been restarted since a connection was last used.
        pool_pre_ping=True,
        **_JSON,
    )
    event.listen(engine.sync_engine, "begin", _begin_postgresql)
    return engine


def _begin_postgresql(connection: Connection) -> None:
    if not connection.get_execution_options().get("reads", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")


def _to_json(value: object) -> str:
    return orjson.dumps(value).decode()


_JSON: dict[str, Any] = {"json_serializer": _to_json, "json_deserializer": orjson.loads}
