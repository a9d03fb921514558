"""Puts a backup into a state folder and a store, whole or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from serving.access.admin_key import ADMIN_KEY_FILE
from serving.access.keys import mint
from serving.backup import rows
from serving.backup.container import unpack
from serving.backup.errors import BackupError
from serving.backup.manifest import ADMIN_KEY, Manifest, table_file
from serving.store import audit, clock, keys, leases
from serving.store.engine import create_engine, reader, unusable
from serving.store.migrate import revisions, upgrade
from serving.store.tables import leases as lease_table
from serving.store.values import Scope
from serving.supervisor.state_folder import owned
from serving.whole_file import flush_folder, write_whole

_WHO = "restore"
KEYS_FOLDER = "trusted-keys"


@dataclass(frozen=True)
class Target:
    """Where a backup goes.

    Attributes:
        store_url: As `open_store` takes it; a server's database exists.
        state_dir: Made where it is missing.
        archives: Below it: gets the private copies.
        trusted_keys: Where this machine looks for public keys.
    """

    store_url: str
    state_dir: Path
    archives: Path
    trusted_keys: tuple[Path, ...]


@dataclass(frozen=True)
class Restored:
    """What was put back.

    Attributes:
        manifest: Of the backup.
        admin_key_file: Holds an admin key that is good.
        new_keys: Public keys that were written here and were not here before.
    """

    manifest: Manifest
    admin_key_file: Path
    new_keys: tuple[Path, ...]


async def put_back(file: Path, target: Target, *, replace: bool = False) -> Restored:
    """Put a backup back; the next `understudy serve` takes it up.

    Every digest is checked before anything is touched. The rows go in by one transaction, which
    also brings them from an older schema to this version's. What ran then is not put back (gateways
    and placements); the lease keeps its epoch and belongs to nobody.

    Args:
        file: Of the backup.
        target: Where it goes.
        replace: Whether what is there may be replaced.

    Raises:
        BackupError: It is no backup or a damaged one, something is there already, or a controller
            leads.
        ConfigurationError: A server runs on the state folder, or the store cannot be used.
        OSError: A file cannot be read or written.
    """
    with owned(target.state_dir), _no_empty_store_left(target.store_url):
        engine = create_engine(target.store_url)
        try:
            copies = 0 if replace else _copies(target.archives)
            # Before much is unpacked; the transaction looks again.
            async with reader(engine).connect() as connection:
                await _must_be_free(connection, target, copies, replace=replace)
            with tempfile.TemporaryDirectory(prefix=".restoring-", dir=target.state_dir) as staged:
                return await _put(engine, file, Path(staged), target, replace=replace)
        except DatabaseError as error:
            raise unusable(engine.url, error) from error
        finally:
            await engine.dispose()


@contextmanager
def _no_empty_store_left(store_url: str) -> Iterator[None]:
    """Remove SQLite's file again where it was not there before and nothing went in."""
    url = make_url(store_url)
    file = Path(str(url.database)) if url.drivername.startswith("sqlite") else None
    was_there = file is None or file.exists()
    try:
        yield
    except BaseException:
        if file is not None and not was_there:
            for end in ("", "-wal", "-shm"):
                file.with_name(file.name + end).unlink(missing_ok=True)
        raise


async def _put(
    engine: AsyncEngine, file: Path, staged: Path, target: Target, *, replace: bool
) -> Restored:
    manifest = unpack(file, staged)
    if manifest.revision not in revisions():
        raise BackupError(
            f"{file}: its store is at schema {manifest.revision}, which this version does not know:"
            f" understudy {manifest.understudy} made it; upgrade this program"
        )
    key_file = target.state_dir / ADMIN_KEY_FILE
    with _archives_placed(manifest, staged, target.archives):
        async with engine.begin() as connection:
            await _must_be_free(connection, target, 0, replace=replace)
            await _fill(connection, manifest, staged)
            text = await _admin_key(connection, staged)
            said = f"of {manifest.made:%Y-%m-%d %H:%M:%S} UTC, {file.name}"
            await audit.add(connection, _WHO, "store.restore", file.name, said)
    write_whole(key_file, text, mode=0o600)
    return Restored(manifest, key_file, _new_keys(manifest, staged, target))


def _copies(archives: Path) -> int:
    return len(list(archives.glob("*.mar")))


async def _must_be_free(
    connection: AsyncConnection, target: Target, copies: int, *, replace: bool
) -> None:
    counted = await connection.run_sync(_counted)
    if "leases" in counted:
        lease = await leases.current(connection)
        if lease is not None and lease.holder and lease.expires > await clock.now(connection):
            raise BackupError(
                f"store: controller {lease.holder!r} leads a deployment on it; stop that one (a "
                "lease ends by itself a few seconds after a crash)"
            )
    found = {name: number for name, number in counted.items() if number}
    if replace or not (copies or found):
        return
    held = ", ".join(f"{number} {name}" for name, number in found.items()) or "nothing"
    raise BackupError(
        f"{target.state_dir} is in use: the store holds {held}, and archives/ {copies} archives; "
        "choose a new state folder or database, or give --force to replace all of it"
    )


def _counted(connection: Connection) -> dict[str, int]:
    return {table.name: rows.count(connection, table) for table in rows.tables(connection)}


async def _fill(connection: AsyncConnection, manifest: Manifest, staged: Path) -> None:
    try:
        await connection.run_sync(_load, manifest, staged)
    except (ValueError, SQLAlchemyError) as error:
        raise BackupError(
            f"the backup's rows do not fit schema {manifest.revision} ({type(error).__name__}); "
            "take another backup"
        ) from error
    await connection.execute(update(lease_table).values(holder=""))


def _load(connection: Connection, manifest: Manifest, staged: Path) -> None:
    rows.drop(connection)
    upgrade(connection, manifest.revision)
    there = {table.name: table for table in rows.tables(connection)}
    for name, expected in manifest.rows.items():
        if name not in there:
            raise ValueError(f"no table {name}")
        with (staged / table_file(name)).open("rb") as lines:
            if rows.load(connection, there[name], lines) != expected:
                raise ValueError(f"{name} has another number of rows")
    upgrade(connection)


async def _admin_key(connection: AsyncConnection, staged: Path) -> str:
    """Return the text of a key that lets the operator in: the backup's, or a new one."""
    kept = staged / ADMIN_KEY
    if kept.exists():
        return kept.read_text()
    key, text = mint("admin (restored)", Scope.ADMIN)
    await keys.add(connection, key)
    return text + "\n"


@contextmanager
def _archives_placed(manifest: Manifest, staged: Path, archives: Path) -> Iterator[None]:
    """Have the private copies in their place; those that came are gone again after a failure."""
    archives.mkdir(mode=0o700, parents=True, exist_ok=True)
    came: list[Path] = []
    try:
        for name in manifest.below("archives"):
            place = archives / Path(name).name
            came += [] if place.exists() else [place]
            (staged / name).chmod(0o400)
            (staged / name).replace(place)
        flush_folder(archives)
        yield
    except BaseException:
        for place in came:
            place.unlink(missing_ok=True)
        raise


def _new_keys(manifest: Manifest, staged: Path, target: Target) -> tuple[Path, ...]:
    """Put public keys where this machine looks for them, or aside where another is there."""
    written = []
    known = {key.read_bytes() for key in target.trusted_keys if key.is_file()}
    for name in manifest.below("keys"):
        content = (staged / name).read_bytes()
        if content in known:
            continue
        file_name = Path(name).name.partition("-")[2]
        aside = target.state_dir / KEYS_FOLDER / file_name
        free = (key for key in target.trusted_keys if key.name == file_name and not key.exists())
        place = next(free, aside)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(place, content, mode=0o644)
        written.append(place)
    return tuple(written)
