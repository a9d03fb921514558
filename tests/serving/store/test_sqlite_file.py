"""SQLite's file goes away or is another: nothing is written where nobody will look."""

from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from serving.errors import ConfigurationError
from serving.store.store import open_store


def url_of(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"


def moved(folder: Path, to: Path) -> None:
    to.mkdir()
    for file in folder.glob("store*"):
        file.rename(to / file.name)


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


async def test_a_file_that_was_deleted_is_missed_and_found_when_it_is_back(tmp_path: Path) -> None:
    async with open_store(url_of(tmp_path / "store")) as store:
        await store.audit("ann", "before", "", "")
        moved(tmp_path, tmp_path / "aside")

        with pytest.raises(OperationalError, match="unable to open"):
            await store.audit("ann", "lost", "", "")
        with pytest.raises(OperationalError, match="unable to open"):
            await store.audit_log()
        assert names(tmp_path) == {"aside"}

        for file in (tmp_path / "aside").iterdir():
            file.rename(tmp_path / file.name)
        await store.audit("ann", "after", "", "")
        assert [entry.action for entry in await store.audit_log()] == ["after", "before"]


async def test_a_file_that_was_put_in_its_place_is_the_store_from_then_on(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with open_store(url_of(tmp_path / "other" / "store")) as other:
        await other.audit("bob", "of another time", "", "")

    async with open_store(url_of(tmp_path / "store")) as store:
        await store.audit("ann", "before", "", "")
        moved(tmp_path, tmp_path / "aside")
        (tmp_path / "other" / "store").rename(tmp_path / "store")

        assert [entry.who for entry in await store.audit_log()] == ["bob"]


async def test_who_does_not_make_a_store_is_told_that_it_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        async with open_store(url_of(tmp_path / "a b?c"), migrate=False, create=False):
            pass

    assert names(tmp_path) == set()
    async with open_store(url_of(tmp_path / "a b?c")):
        pass
    async with open_store(url_of(tmp_path / "a b?c"), create=False) as store:
        assert await store.audit_log() == []
