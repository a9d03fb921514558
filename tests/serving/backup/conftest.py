"""Places for backups: state folders with a store of either kind."""

from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_asyncio
from backed_up_place import Place


@pytest.fixture
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str, str], Place]:
    """Makes a place: its name, and "sqlite" or "postgresql"."""

    def make(name: str, kind: str = "sqlite") -> Place:
        state = tmp_path / name / "state"
        state.mkdir(parents=True)
        url = f"sqlite+aiosqlite:///{state / 'store.sqlite3'}"
        if kind == "postgresql":
            server = request.getfixturevalue("postgres")
            url = str(server.new_database())
        return Place(url, state, tmp_path / name / "signing-key.pub.pem")

    return make


@pytest_asyncio.fixture
async def old(new_place: Callable[[str, str], Place]) -> Place:
    """A furnished place on SQLite."""
    place = new_place("old", "sqlite")
    await place.furnish()
    return place
