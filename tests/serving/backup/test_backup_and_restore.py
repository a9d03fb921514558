import sqlite3
import stat
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from backed_up_place import Place
from full_store import read, works

from serving.access.authenticator import Authenticator
from serving.backup.errors import BackupError
from serving.backup.make import back_up
from serving.backup.manifest import Manifest
from serving.backup.put_back import put_back
from serving.errors import ConfigurationError
from serving.store.store import open_store
from serving.store.values import Scope
from serving.supervisor.state_folder import owned

NewPlace = Callable[[str, str], Place]
POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.slow)


async def held(place: Place) -> dict[str, object]:
    """Return what a place's store holds, but for what a restore adds."""
    async with open_store(place.store_url) as store:
        found = await read(store)
    found["keys"] = [key for key in found["keys"] if key.name != "admin (restored)"]
    return found


@pytest.mark.parametrize("into", ["sqlite", POSTGRESQL])
@pytest.mark.parametrize("kind", ["sqlite", POSTGRESQL])
async def test_all_is_there_again_in_either_database(
    new_place: NewPlace, tmp_path: Path, kind: str, into: str
) -> None:
    old, new = new_place("first", kind), new_place("second", into)
    await old.furnish()

    made = await back_up(tmp_path / "b.zip", old.source())
    done = await put_back(tmp_path / "b.zip", new.target())

    assert await held(new) == await held(old)
    assert {n: b for n, b in new.files().items() if n != "admin.key"} == {
        n: b for n, b in old.files().items() if n != "admin.key"
    }
    assert done.manifest == made
    assert new.trusted_key.read_bytes() == old.trusted_key.read_bytes()
    async with open_store(new.store_url) as store:
        assert await store.gateways() == []
        assert await store.placements() == {}
        lease = await store.lease()
        assert lease is not None
        assert (lease.holder, lease.epoch) == ("", 1)
        presented = done.admin_key_file.read_text().strip()
        key = await Authenticator(store).authenticate(presented, Scope.ADMIN)
        assert key.name == "admin (restored)"
        await works(store)


async def test_a_backup_is_its_owner_s_alone_and_holds_no_secret(
    old: Place, tmp_path: Path
) -> None:
    await back_up(tmp_path / "without.zip", old.source())
    await back_up(tmp_path / "with.zip", old.source(old.state / "admin.key"))

    assert stat.S_IMODE((tmp_path / "without.zip").stat().st_mode) == 0o600
    assert b"the-admin-s-secret" not in everything(tmp_path / "without.zip")
    assert b"the-admin-s-secret" in everything(tmp_path / "with.zip")
    assert names(tmp_path) == {"old", "without.zip", "with.zip"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def everything(file: Path) -> bytes:
    with zipfile.ZipFile(file) as packed:
        return b"".join(packed.read(name) for name in packed.namelist())


async def test_an_admin_key_that_was_asked_for_comes_back(
    old: Place, new_place: NewPlace, tmp_path: Path
) -> None:
    new = new_place("new", "sqlite")
    await back_up(tmp_path / "b.zip", old.source(old.state / "admin.key"))

    done = await put_back(tmp_path / "b.zip", new.target())

    assert done.admin_key_file.read_text() == "us_id_the-admin-s-secret\n"
    assert stat.S_IMODE(done.admin_key_file.stat().st_mode) == 0o600
    async with open_store(new.store_url) as store:
        assert {key.name for key in await store.keys()} == {"forever", "for a day"}


async def test_a_backup_of_an_older_schema_is_brought_to_this_one(
    old: Place, new_place: NewPlace, tmp_path: Path
) -> None:
    from serving.store.engine import create_engine
    from serving.store.migrate import upgrade

    older, new = new_place("older", "sqlite"), new_place("new", "sqlite")
    older.archives.mkdir()
    engine = create_engine(older.store_url)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade, "0001")
    await engine.dispose()
    with closing(sqlite3.connect(older.state / "store.sqlite3")) as there:
        there.execute("ATTACH ? AS today", (str(old.state / "store.sqlite3"),))
        there.execute("INSERT INTO audit SELECT * FROM today.audit")
        there.execute("INSERT INTO route_revisions SELECT * FROM today.route_revisions")
        there.commit()

    made = await back_up(tmp_path / "b.zip", older.source())
    await put_back(tmp_path / "b.zip", new.target())

    assert made.revision == "0001"
    async with open_store(new.store_url, migrate=False) as store:
        async with open_store(old.store_url) as today:
            assert await store.routes() == await today.routes()
        await works(store)


def rewrite(file: Path, made: Manifest, changes: dict[str, object]) -> None:
    """Change what a backup's manifest says; all else stays as it is."""
    with zipfile.ZipFile(file) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    said = Manifest.model_construct(**made.model_dump(mode="json") | changes)
    parts["manifest.json"] = said.model_dump_json(warnings=False).encode()
    with zipfile.ZipFile(file, "w") as packed:
        for name, content in parts.items():
            packed.writestr(name, content)


class TestRefusals:
    async def test_what_was_cut_off_or_altered_is_refused_and_nothing_is_left(
        self, old: Place, new_place: NewPlace, tmp_path: Path
    ) -> None:
        new = new_place("new", "sqlite")
        await back_up(tmp_path / "b.zip", old.source())
        whole = (tmp_path / "b.zip").read_bytes()
        broken = [whole[:cut] for cut in (0, 7, len(whole) // 2, len(whole) - 1)]
        broken += [
            whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]
            for at in (*range(40, len(whole), len(whole) // 40), len(whole) - 30)
        ]

        for number, content in enumerate(broken):
            (tmp_path / "broken.zip").write_bytes(content)
            with pytest.raises(BackupError, match=r"take\s+another") as refused:
                await put_back(tmp_path / "broken.zip", new.target())
            assert "altered" in refused.value.message, number
            assert new.files() == {}
            assert names(new.state) <= {"archives", "serve.lock"}

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda made: {"format": 2}, "a newer version"),
            (lambda made: {"revision": "9999"}, "upgrade this program"),
            (lambda made: {"parts": made["parts"][1:]}, "is missing"),
            (lambda made: {"parts": [one | {"name": "../x"} for one in made["parts"]]}, "altered"),
            (lambda made: {"rows": made["rows"] | {"audit": 7}}, "do not fit"),
        ],
    )
    async def test_a_manifest_that_says_something_else_is_refused(
        self,
        old: Place,
        new_place: NewPlace,
        tmp_path: Path,
        change: Callable[[dict[str, object]], dict[str, object]],
        said: str,
    ) -> None:
        new = new_place("new", "sqlite")
        made = await back_up(tmp_path / "b.zip", old.source())
        rewrite(tmp_path / "b.zip", made, change(made.model_dump(mode="json")))

        with pytest.raises(BackupError, match=said):
            await put_back(tmp_path / "b.zip", new.target())

        assert new.files() == {}
        assert not (new.state / "store.sqlite3").exists()

    async def test_what_the_manifest_does_not_name_is_refused(
        self, old: Place, new_place: NewPlace, tmp_path: Path
    ) -> None:
        await back_up(tmp_path / "b.zip", old.source())
        with zipfile.ZipFile(tmp_path / "b.zip", "a") as packed:
            packed.writestr("../../evil", "x")

        with pytest.raises(BackupError, match="evil is not in its"):
            await put_back(tmp_path / "b.zip", new_place("new", "sqlite").target())

    async def test_a_place_in_use_is_left_alone_unless_it_is_to_be_replaced(
        self, old: Place, new_place: NewPlace, tmp_path: Path
    ) -> None:
        other = new_place("other", "sqlite")
        await other.furnish()
        async with open_store(other.store_url) as store:
            await store.put_route((await store.routes())["gate"].route, who="eve", why="later")
        before, files = await held(other), other.files()
        await back_up(tmp_path / "b.zip", old.source())

        with pytest.raises(BackupError, match=r"2 releases.*--force"):
            await put_back(tmp_path / "b.zip", other.target())
        assert (await held(other), other.files()) == (before, files)

        await put_back(tmp_path / "b.zip", other.target(), replace=True)
        assert await held(other) == await held(old) != before

    async def test_nothing_is_put_back_under_a_controller_that_leads(
        self, old: Place, new_place: NewPlace, tmp_path: Path
    ) -> None:
        new = new_place("new", "sqlite")
        await back_up(tmp_path / "b.zip", old.source())
        async with open_store(new.store_url) as store:
            await store.acquire_lease("controller-of-another-host", 60)

        with pytest.raises(BackupError, match="controller-of-another-host"):
            await put_back(tmp_path / "b.zip", new.target(), replace=True)

    async def test_nor_into_the_state_folder_of_a_server_that_runs(
        self, old: Place, tmp_path: Path
    ) -> None:
        await back_up(tmp_path / "b.zip", old.source())
        with owned(old.state), pytest.raises(ConfigurationError, match="in use by another"):
            await put_back(tmp_path / "b.zip", old.target(), replace=True)

    async def test_a_transaction_that_fails_takes_all_with_it(
        self, old: Place, new_place: NewPlace, tmp_path: Path
    ) -> None:
        other = new_place("other", "sqlite")
        await other.furnish()
        before, files = await held(other), other.files()
        made = await back_up(tmp_path / "b.zip", old.source())
        # Only when all tables were dropped and filled does this come out.
        rewrite(tmp_path / "b.zip", made, {"rows": made.rows | {"windows": 7}})

        with pytest.raises(BackupError, match="do not fit"):
            await put_back(tmp_path / "b.zip", other.target(), replace=True)

        assert (await held(other), other.files()) == (before, files)

    async def test_a_backup_without_an_archive_that_is_needed_is_none(
        self, old: Place, tmp_path: Path
    ) -> None:
        copy = next(old.archives.glob("*.mar"))
        whole = copy.read_bytes()
        copy.write_bytes(whole[:-1])
        with pytest.raises(BackupError, match=r"(student|teacher)-.*was altered"):
            await back_up(tmp_path / "b.zip", old.source())
        copy.unlink()
        with pytest.raises(BackupError, match="private copy is gone"):
            await back_up(tmp_path / "b.zip", old.source())

        assert names(tmp_path) == {"old"}

    async def test_a_file_that_is_there_is_kept_unless_it_is_to_be_replaced(
        self, old: Place, tmp_path: Path
    ) -> None:
        (tmp_path / "b.zip").write_text("of yesterday")
        with pytest.raises(BackupError, match="is there already"):
            await back_up(tmp_path / "b.zip", old.source())
        assert (tmp_path / "b.zip").read_text() == "of yesterday"

        await back_up(tmp_path / "b.zip", old.source(), replace=True)
        assert zipfile.is_zipfile(tmp_path / "b.zip")

    async def test_where_nothing_was_served_there_is_nothing_to_back_up(
        self, new_place: NewPlace, tmp_path: Path
    ) -> None:
        with pytest.raises(BackupError, match="nothing was ever served"):
            await back_up(tmp_path / "b.zip", new_place("new", "sqlite").source())
        assert not (tmp_path / "new" / "state" / "store.sqlite3").exists()
