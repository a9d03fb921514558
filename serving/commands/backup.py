"""The commands `understudy backup` and `understudy restore`."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from serving.backup.errors import BackupError
from serving.commands.telling import tell_error
from serving.errors import ConfigurationError
from serving.settings import Settings, explain, read_settings

_StateDir = Annotated[
    Path | None, typer.Option(help="Store, keys, private archives. [~/.understudy/serve]")
]
_StoreUrl = Annotated[
    str | None,
    typer.Option(help="The store. Better given as UNDERSTUDY_STORE_URL: it holds a password."),
]


def backup(
    file: Annotated[Path, typer.Argument(help="Gets the backup; yours alone to read.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    with_admin_key: Annotated[
        bool,
        typer.Option("--with-admin-key", help="Put STATE_DIR/admin.key into it, in clear."),
    ] = False,
    state_dir: _StateDir = None,
    store_url: _StoreUrl = None,
) -> None:
    """Write the deployment's state into one file, also while it serves.

    It holds one moment of the store (routes, releases, cameras, keys as slow hashes, traffic, the
    audit log), the private copies of the loaded releases' archives, and the public keys that sign
    archives; each with its digest. It does not hold the model store, harvested frames, settings,
    or, unless you ask, the admin key. Run it where the state folder is, as the user that serves.

    [bold]Examples[/]

      understudy backup /backups/understudy-monday.zip

      understudy backup --force /backups/latest.zip
    """
    # Here, so that `--help` needs no database.
    from serving.access.admin_key import ADMIN_KEY_FILE  # noqa: PLC0415
    from serving.backup.make import Source, back_up  # noqa: PLC0415

    with _told():
        settings = _settings(state_dir, store_url)
        admin_key = settings.state_dir / ADMIN_KEY_FILE if with_admin_key else None
        source = Source(settings.store_url, settings.archives, settings.trusted_keys, admin_key)
        made = asyncio.run(back_up(file, source, replace=force))
    typer.echo(
        f"{file}: {_count(file.stat().st_size)}, schema {made.revision}, "
        f"{made.rows['releases']} releases, {len(made.below('archives'))} archives, "
        f"{made.rows['route_revisions']} route revisions, {made.rows['api_keys']} keys"
    )


def restore(
    file: Annotated[Path, typer.Argument(help="Of `understudy backup`.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace what the store and the state folder hold.")
    ] = False,
    state_dir: _StateDir = None,
    store_url: _StoreUrl = None,
) -> None:
    """Put a backup into a state folder and a store, while no server runs on them.

    All of it is checked before anything is touched, and it is put back whole or not at all. An
    older version's store is brought to this one's; a backup of SQLite goes into PostgreSQL and the
    other way round. Keys go on working; a new admin key is written to STATE_DIR/admin.key, unless
    the backup holds one. The digests find damage, not malice: keep backups as you keep the server.

    [bold]Examples[/]

      understudy restore /backups/understudy-monday.zip

      understudy restore --state-dir /srv/understudy /backups/understudy-monday.zip
    """
    from serving.backup.put_back import Target, put_back  # noqa: PLC0415

    with _told():
        settings = _settings(state_dir, store_url)
        target = Target(
            settings.store_url, settings.state_dir, settings.archives, settings.trusted_keys
        )
        done = asyncio.run(put_back(file, target, replace=force))
    made = done.manifest
    typer.echo(
        f"restored {file} of {made.made:%Y-%m-%d %H:%M} UTC: {made.rows['releases']} releases, "
        f"{made.rows['route_revisions']} route revisions, {made.rows['api_keys']} keys\n"
        f"admin key: {done.admin_key_file}"
    )
    for key in done.new_keys:
        looked_at = key in settings.trusted_keys
        hint = "" if looked_at else "; name it in UNDERSTUDY_TRUSTED_KEYS to go on trusting it"
        typer.echo(f"signing key: {key}{hint}")


def _settings(state_dir: Path | None, store_url: str | None) -> Settings:
    given = {"state_dir": state_dir, "store_url": store_url}
    return read_settings(**{name: one for name, one in given.items() if one is not None})


def _count(size: int) -> str:
    return f"{size / 10**6:.1f} MB"


@contextmanager
def _told() -> Iterator[None]:
    """Tell an error in one line, and exit with its status."""
    try:
        yield
    except ValidationError as error:
        tell_error(explain(error))
        raise typer.Exit(2) from None
    except (BackupError, ConfigurationError) as error:
        tell_error(error.message)
        raise typer.Exit(1) from None
    except OSError as error:
        tell_error(f"{error.filename or 'disk'}: {error.strerror}")
        raise typer.Exit(1) from None
