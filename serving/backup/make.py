"""Makes a backup, also while the deployment serves."""

import os
import re
import secrets
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError

from serving.backup import rows
from serving.backup.container import Packing
from serving.backup.errors import BackupError
from serving.backup.manifest import ADMIN_KEY, Manifest, table_file
from serving.controlplane.releases import LOADED
from serving.store.engine import create_engine, reader, unusable
from serving.store.migrate import revision_of, revisions
from serving.whole_file import flush_folder

# What runs now: of no use to a deployment that is started anew.
OF_PROCESSES = frozenset({"gateways", "placements"})
# A release may be retired, and its copy removed, between a look at the store and the next.
_TRIES = 3


@dataclass(frozen=True)
class Source:
    """What is backed up.

    Attributes:
        store_url: As `open_store` takes it.
        archives: Holds the private copies, by digest.
        trusted_keys: Public; those that are not there are left out.
        admin_key: Goes along in clear; None: it does not.
    """

    store_url: str
    archives: Path
    trusted_keys: tuple[Path, ...]
    admin_key: Path | None = None


async def back_up(target: Path, source: Source, *, replace: bool = False) -> Manifest:
    """Write a backup of one moment; it is there whole or not at all, for its owner alone.

    Args:
        target: Of the backup.
        source: What goes into it.
        replace: Whether a file that is there may be replaced.

    Raises:
        BackupError: Something that belongs into it is missing or altered.
        ConfigurationError: The store cannot be used.
        OSError: The file cannot be written, or what goes into it not read.
    """
    _must_be_possible(target, source.store_url, replace=replace)
    for _ in range(_TRIES - 1):
        with suppress(_CopyGone):
            return await _written(target, source)
    return await _written(target, source)


class _CopyGone(BackupError):
    """A private copy is not there (any more)."""


def _must_be_possible(target: Path, store_url: str, *, replace: bool) -> None:
    if target.exists() and not replace:
        raise BackupError(f"{target} is there already; choose another name, or give --force")
    if not target.absolute().parent.is_dir():
        raise BackupError(f"{target}: there is no folder {target.absolute().parent}; make it")
    url = make_url(store_url)
    if url.drivername.startswith("sqlite") and not Path(str(url.database)).exists():
        raise BackupError(
            f"store: no {url.database}; nothing was ever served from this state folder "
            "(--state-dir, UNDERSTUDY_STATE_DIR; --store-url, UNDERSTUDY_STORE_URL)"
        )


async def _written(target: Path, source: Source) -> Manifest:
    engine = create_engine(source.store_url)
    try:
        with _whole(target) as packed:
            packing = Packing(packed)
            async with reader(engine).connect() as connection, connection.begin():
                counted = await connection.run_sync(_rows, packing)
                revision = await connection.run_sync(revision_of)
                loaded = await connection.run_sync(_loaded)
            for release, sha256 in loaded.items():
                _archive(packing, release, source.archives / f"{sha256}.mar", sha256)
            _keys(packing, source)
            manifest = Manifest(
                understudy=version("understudy"),
                made=datetime.now(UTC),
                database=engine.dialect.name,
                revision=str(revision),
                rows=counted,
                parts=tuple(packing.parts),
            )
            packing.close(manifest)
    except DatabaseError as error:
        raise unusable(engine.url, error) from error
    finally:
        await engine.dispose()
    return manifest


@contextmanager
def _whole(target: Path) -> Iterator[zipfile.ZipFile]:
    """Write a zip beside its place, and move it there at the end."""
    half_written = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    handle = os.open(half_written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w") as packed:
                yield packed
            file.flush()
            os.fsync(file.fileno())
        half_written.replace(target)
    except BaseException:
        half_written.unlink(missing_ok=True)
        raise
    flush_folder(target.absolute().parent)


def _rows(connection: Connection, packing: Packing) -> dict[str, int]:
    found = revision_of(connection)
    if found not in revisions():
        raise BackupError(
            f"store: the database is at schema {found or 'none'}, which this version does not know;"
            " back up with the version of this program that serves from it"
        )
    counted = {}
    for table in rows.tables(connection):
        if table.name not in OF_PROCESSES:
            with packing.member(table_file(table.name)) as member:
                counted[table.name] = rows.dump(connection, table, member.write)
    return counted


def _loaded(connection: Connection) -> dict[str, str]:
    """Return the digests of the archives that the deployment needs, by release."""
    (table,) = [one for one in rows.tables(connection) if one.name == "releases"]
    columns = table.columns
    needed = select(columns.model, columns.version, columns.sha256).where(
        columns.state.in_([state.value for state in LOADED])
    )
    return {f"{model}-{number}": sha for model, number, sha in connection.execute(needed)}


def _archive(packing: Packing, release: str, copy: Path, sha256: str) -> None:
    name = f"archives/{copy.name}"
    if any(part.name == name for part in packing.parts):
        return
    try:
        part = packing.copy(name, copy)
    except FileNotFoundError as error:
        raise _CopyGone(
            f"{release}: its private copy is gone from {copy.parent}; retire it and deploy its "
            "archive again, and back up then"
        ) from error
    if part.sha256 != sha256:
        raise BackupError(
            f"{release}: its private copy was altered; retire it and deploy its archive again, and "
            "back up then"
        )


def _keys(packing: Packing, source: Source) -> None:
    for number, key in enumerate(source.trusted_keys):
        name = re.sub(r"[^\w.-]", "_", key.name)
        # It may have been moved away since: what is loaded needs it no more.
        with suppress(FileNotFoundError):
            packing.copy(f"keys/{number}-{name}", key)
    if source.admin_key is not None:
        packing.copy(ADMIN_KEY, source.admin_key)
