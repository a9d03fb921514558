"""Queries on placements: what each TorchServe backend runs, for the gateways to choose from."""

from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.store import generation
from serving.store.tables import placements as table
from serving.store.values import ReleaseKey


async def every(connection: AsyncConnection) -> dict[str, dict[ReleaseKey, int]]:
    """Return the ready workers of each release, by backend; one that runs nothing is left out."""
    found: dict[str, dict[ReleaseKey, int]] = defaultdict(dict)
    query = select(table).order_by(table.c.backend, table.c.model, table.c.version)
    for row in (await connection.execute(query)).mappings():
        key = ReleaseKey(model=row["model"], version=row["version"])
        found[row["backend"]][key] = row["ready_workers"]
    return dict(found)


async def put(
    connection: AsyncConnection, backend: str, ready_workers: Mapping[ReleaseKey, int]
) -> None:
    """Replace what a backend runs; where that is what is known already, nothing is written.

    Args:
        connection: In a write transaction.
        backend: Its name.
        ready_workers: How many workers of each release are ready there; a release that is to be
            unregistered is left out before.
    """
    if (await every(connection)).get(backend, {}) == dict(ready_workers):
        return
    await connection.execute(delete(table).where(table.c.backend == backend))
    rows = [
        {"backend": backend, "model": key.model, "version": key.version, "ready_workers": ready}
        for key, ready in ready_workers.items()
    ]
    if rows:
        await connection.execute(insert(table), rows)
    await generation.grow(connection)
