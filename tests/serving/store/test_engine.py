import asyncio
from pathlib import Path

import pytest
import uvloop
from postgres_server import PostgresServer
from sqlalchemy import insert, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.errors import ConfigurationError
from serving.store import generation, placements
from serving.store.engine import create_engine
from serving.store.store import Store, open_store
from serving.store.tables import generation as table
from serving.store.transactions import Transactions
from serving.store.values import ReleaseKey

KEY = ReleaseKey(model="student", version="1.0")


async def test_a_reader_sees_one_moment_while_another_writes(
    store: Store, other: Store, store_url: str
) -> None:
    engine = create_engine(store_url)
    await store.put_placements("east", {KEY: 1})

    async def twice(connection: AsyncConnection) -> tuple[object, object]:
        before = await placements.every(connection), await generation.current(connection)
        await other.put_placements("east", {KEY: 2})
        return before, (await placements.every(connection), await generation.current(connection))

    before, after = await Transactions(engine).reading(twice)()

    await engine.dispose()
    assert before == after == ({"east": {KEY: 1}}, 1)
    assert await store.placements() == {"east": {KEY: 2}}


async def test_a_writer_waits_until_another_is_done(
    store: Store, other: Store, store_url: str
) -> None:
    engine = create_engine(store_url)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(connection: AsyncConnection) -> None:
        await placements.put(connection, "east", {KEY: 1})
        begun.set()
        await go_on.wait()

    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(Transactions(engine).writing(slowly)())
        await begun.wait()
        second = tasks.create_task(other.put_placements("east", {KEY: 2}))
        assert await store.placements() == {}
        assert not second.done()
        go_on.set()
        await first

    await engine.dispose()
    assert await store.placements() == {"east": {KEY: 2}}
    assert await store.generation() == 2


@pytest.mark.slow
async def test_a_reader_of_postgresql_writes_nothing(postgres_url: str) -> None:
    async def write(connection: AsyncConnection) -> None:
        await connection.execute(insert(table).values(id=1, value=1))

    async with open_store(postgres_url):
        engine = create_engine(postgres_url)
        with pytest.raises(DatabaseError, match="read-only"):
            await Transactions(engine).reading(write)()
        await engine.dispose()


@pytest.mark.slow
async def test_a_store_outlives_its_connections(
    postgres_url: str, postgres: PostgresServer
) -> None:
    async with open_store(postgres_url) as store:
        await store.put_placements("east", {KEY: 1})
        with postgres.connect() as connection:
            name = postgres_url.split("/")[3].split("?", maxsplit=1)[0]
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(query, (name,))

        assert await store.placements() == {"east": {KEY: 1}}
        await store.put_placements("east", {KEY: 2})


@pytest.mark.slow
async def test_a_host_that_vanishes_is_noticed(postgres_url: str) -> None:
    engine = create_engine(postgres_url)

    async with engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        told = raw.info.get_parameters()

    await engine.dispose()
    assert (told["tcp_user_timeout"], told["keepalives_idle"]) == ("10000", "5")


@pytest.mark.slow
async def test_a_process_that_hangs_in_a_transaction_is_cut_off(postgres_url: str) -> None:
    engine = create_engine(postgres_url)

    async with engine.begin() as connection:
        told = [
            await connection.scalar(text(f"SHOW {name}"))
            for name in ("idle_in_transaction_session_timeout", "lock_timeout")
        ]

    await engine.dispose()
    assert told == ["10s", "10s"]


@pytest.mark.slow
def test_postgresql_is_used_by_uvloop_too(postgres_url: str) -> None:
    async def main() -> list[int]:
        async with open_store(postgres_url) as store:
            live = [store.heartbeat(str(number), 1, {}) for number in range(20)]
            return sorted(await asyncio.gather(*live))

    assert uvloop.run(main()) == list(range(1, 21))


async def test_a_database_that_is_not_there_is_told_without_the_password(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://ann:hunter2@/store?host={tmp_path}"

    with pytest.raises(ConfigurationError, match="server must run") as caught:
        async with open_store(url):
            pass

    assert "ann" in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg:ann:hunter2@host/store", "postgresql://ann:hunter2@host/store"]
)
def test_a_url_that_cannot_be_used_is_told_without_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="postgresql\\+psycopg://") as caught:
        create_engine(url)

    assert "hunter2" not in caught.value.message
