"""A real store in a file of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from serving.store.store import Store, open_store


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite+aiosqlite:///{tmp_path}/store.sqlite3") as opened:
        yield opened
