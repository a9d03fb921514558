import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from serving.errors import ConfigurationError
from serving.store.store import open_store
from serving.store.tables import metadata


async def test_the_migrations_make_the_tables_of_the_code(tmp_path: Path) -> None:
    async with open_store(f"sqlite+aiosqlite:///{tmp_path}/store"):
        pass
    engine = create_engine(f"sqlite:///{tmp_path}/store")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


async def test_an_open_store_is_kept_when_opened_again(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/store"
    async with open_store(url) as first:
        await first.audit("ann", "test", "", "")
    async with open_store(url) as second:
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
