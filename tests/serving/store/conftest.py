"""The store's tests run on both databases."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import update

from serving.store.engine import create_engine
from serving.store.store import Store, open_store
from serving.store.tables import gateways


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new, empty database, of each kind in turn."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite+aiosqlite:///{tmp_path / 'store.sqlite3'}"


@pytest_asyncio.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """A store in a new database."""
    async with open_store(store_url) as opened:
        yield opened


@pytest_asyncio.fixture
async def other(store_url: str, store: Store) -> AsyncIterator[Store]:
    """The same store as another process has it: by connections of its own."""
    del store
    async with open_store(store_url) as opened:
        yield opened


@pytest.fixture
def silent(store_url: str, store: Store) -> Callable[[str, float], Awaitable[None]]:
    """Makes a gateway's last heartbeat so many seconds older, as if it had been silent."""

    async def age(gateway: str, seconds: float) -> None:
        then = await store.now() - timedelta(seconds=seconds)
        engine = create_engine(store_url)
        mine = update(gateways).where(gateways.c.id == gateway)
        async with engine.begin() as connection:
            await connection.execute(mine.values(heartbeat=then))
        await engine.dispose()

    return age
