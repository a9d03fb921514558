import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from serving.errors import ConfigurationError
from serving.store.engine import create_engine
from serving.store.migrate import upgrade
from serving.store.store import open_store
from serving.store.tables import metadata


async def test_the_migrations_make_the_tables_of_the_code(store_url: str) -> None:
    async with open_store(store_url):
        pass
    engine = create_engine(store_url)

    async with engine.connect() as connection:
        differences = await connection.run_sync(_differences)

    await engine.dispose()
    assert differences == []


def _differences(connection: Connection) -> Any:
    options = {"compare_type": True, "compare_server_default": True}
    return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


async def test_a_store_of_the_first_schema_keeps_what_it_holds(store_url: str) -> None:
    engine = create_engine(store_url)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade, "0001")
        await connection.execute(
            text(
                "INSERT INTO gateways (id, started, heartbeat, revision, in_flight) VALUES "
                "('a', '2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000', 3, '{}')"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO releases VALUES ('yolo', '1.0', 'ab', 'student', '[]', '[]', true, "
                "'live', '', 1, 8, '2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000')"
            )
        )
    await engine.dispose()

    async with open_store(store_url) as store:
        (status,) = await store.gateways()
        (release,) = await store.releases()

    assert (status.id, status.revision, status.beat) == ("a", 3, 0)
    assert (str(release.key), release.variant) == ("yolo-1.0", "auto")
    assert (release.threads, release.batch_delay_ms) == (None, 0)


async def test_processes_that_open_a_new_store_together_migrate_it_once(store_url: str) -> None:
    async def opened(name: str) -> None:
        async with open_store(store_url) as store:
            await store.audit(name, "test", "", "")

    await asyncio.gather(*(opened(str(number)) for number in range(6)))

    async with open_store(store_url) as store:
        assert len(await store.audit_log()) == 6


async def test_an_open_store_is_kept_when_opened_again(store_url: str) -> None:
    async with open_store(store_url) as first:
        await first.audit("ann", "test", "", "")
    async with open_store(store_url) as second:
        assert len(await second.audit_log()) == 1


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/store"
    async with open_store(url):
        pass
    with sqlite3.connect(tmp_path / "store") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(ConfigurationError, match="a newer one wrote it"):
        async with open_store(url):
            pass
    connection = sqlite3.connect(tmp_path / "store")
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]
    connection.close()


async def test_what_is_no_store_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to look at" * 100)
    for url, said in (
        (f"sqlite+aiosqlite:///{tmp_path}/notes.txt", "cannot be opened"),
        (f"sqlite+aiosqlite:///{tmp_path}/nowhere/store", "its folder must exist"),
        ("sqlite+aiosqlite://", "the store is a file"),
        ("mysql://host/store", "cannot be used"),
        ("store.db", "not a database URL"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            async with open_store(url):
                pass
    assert (tmp_path / "notes.txt").read_text().startswith("not a database")
    assert not (tmp_path / "nowhere").exists()
