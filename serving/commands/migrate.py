"""The command `understudy migrate`."""

import asyncio
import time
from typing import Annotated

import typer
from pydantic import ValidationError

from serving.commands.telling import tell_error
from serving.errors import ConfigurationError
from serving.settings import explain, read_settings

_LOOK_AGAIN_S = 1.0


def migrate(
    wait: Annotated[
        float | None,
        typer.Option(
            help="Change nothing: wait until another has done it, so many seconds at most.",
            min=0,
            max=3600,
        ),
    ] = None,
    store_url: Annotated[
        str | None,
        typer.Option(help="The store. Better given as UNDERSTUDY_STORE_URL: it holds a password."),
    ] = None,
) -> None:
    """Bring the store's schema to this version.

    `understudy serve` does it by itself, unless it was told not to (UNDERSTUDY_MIGRATE=false), as
    in a cluster, where one job does it before the pods of a new version start. Doing it twice
    changes nothing; a store of a newer version is refused.

    [bold]Examples[/]

      understudy migrate

      understudy migrate --wait 300
    """
    try:
        settings = read_settings(**({} if store_url is None else {"store_url": store_url}))
        asyncio.run(_migrated(settings.store_url, wait))
    except ValidationError as error:
        tell_error(explain(error))
        raise typer.Exit(2) from None
    except ConfigurationError as error:
        tell_error(error.message)
        raise typer.Exit(1) from None
    typer.echo("the store is at this version's schema")


async def _migrated(store_url: str, wait_s: float | None) -> None:
    """Migrate, or wait until it was done.

    Raises:
        ConfigurationError: The store cannot be used, or was not brought up to date in time.
    """
    # Here, so that `--help` needs no database.
    from serving.store.store import open_store  # noqa: PLC0415

    ends_at = time.monotonic() + (wait_s or 0)
    while True:
        try:
            async with open_store(store_url, migrate=wait_s is None):
                return
        except ConfigurationError:
            if time.monotonic() > ends_at:
                raise
        await asyncio.sleep(_LOOK_AGAIN_S)
