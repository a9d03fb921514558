"""Queries on windows: many rows, so each is small, and cameras' parts stand apart to go earlier."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.store.observations import Window
from serving.store.tables import window_cameras as cameras_table
from serving.store.tables import windows as table


class Page(NamedTuple):
    """Some windows of a route, in the order in which they were added.

    Attributes:
        windows: At most as many as were asked for.
        last: Where the next page goes on; None where nothing was found yet.
    """

    windows: list[Window]
    last: int | None


async def add(connection: AsyncConnection, windows: Sequence[Window]) -> None:
    """Add windows; nothing is merged with what is there."""
    if not windows:
        return
    # What a value has by default is left out of the JSON and comes back by default.
    dumped = [window.model_dump(mode="json", exclude_defaults=True) for window in windows]
    rows = [_row(window, values) for window, values in zip(windows, dumped, strict=True)]
    query = insert(table).returning(table.c.id, sort_by_parameter_order=True)
    ids = (await connection.scalars(query, rows)).all()
    parts = [
        {"window": window_id, "start": window.start, "cameras": values["cameras"]}
        for window_id, window, values in zip(ids, windows, dumped, strict=True)
        if window.cameras
    ]
    if parts:
        await connection.execute(insert(cameras_table), parts)


async def since(
    connection: AsyncConnection, route: str, *, since: datetime, revision: int | None = None
) -> list[Window]:
    """Return a route's windows that start at `since` or later, in that order.

    Args:
        connection: In a transaction.
        route: Name.
        since: UTC.
        revision: Only those of this revision of the route; None: of all.
    """
    query = (
        select(table, cameras_table.c.cameras)
        .join_from(table, cameras_table, table.c.id == cameras_table.c.window, isouter=True)
        .where(table.c.route == route, table.c.start >= since)
        .order_by(table.c.start, table.c.id)
    )
    if revision is not None:
        query = query.where(table.c.revision == revision)
    return [_window(row) for row in (await connection.execute(query)).mappings()]


async def page(
    connection: AsyncConnection,
    route: str,
    *,
    since: datetime,
    after: int | None,
    limit: int,
) -> Page:
    """Return the next of a route's windows that start at `since` or later.

    Writers take turns, so that ids grow in the order of the commits: whoever goes on from page to
    page reads each window once, one that was written late too.

    Args:
        connection: In a transaction.
        route: Name.
        since: UTC.
        after: The last page's `last`; None: from the first on.
        limit: At most so many.
    """
    after = await begin(connection, route, since) if after is None else after
    if after is None:
        return Page([], None)
    query = (
        select(table, cameras_table.c.cameras)
        .join_from(table, cameras_table, table.c.id == cameras_table.c.window, isouter=True)
        .where(table.c.route == route, table.c.id > after)
        .order_by(table.c.id)
        .limit(limit)
    )
    rows = (await connection.execute(query)).mappings().all()
    last = rows[-1]["id"] if rows else after
    return Page([_window(row) for row in rows if row["start"] >= since], last)


async def begin(connection: AsyncConnection, route: str, since: datetime) -> int | None:
    """Return after which window to read those of a route that start at `since` or later, if any."""
    mine = (table.c.route == route) & (table.c.start >= since)
    first = await connection.scalar(select(func.min(table.c.id)).where(mine))
    return None if first is None else first - 1


async def forget(
    connection: AsyncConnection, *, before: datetime, cameras_before: datetime
) -> None:
    """Remove windows that started before `before`, and cameras' parts before `cameras_before`."""
    oldest_cameras = max(before, cameras_before)
    await connection.execute(delete(cameras_table).where(cameras_table.c.start < oldest_cameras))
    await connection.execute(delete(table).where(table.c.start < before))


def _row(window: Window, values: dict[str, Any]) -> dict[str, Any]:
    return {
        "gateway": window.gateway,
        "start": window.start,
        "route": window.route,
        "revision": window.revision,
        "arm": window.arm,
        "model": window.release.model,
        "version": window.release.version,
        "kind": window.kind,
        "codes": values["codes"],
        "latency": values.get("latency", {}),
        "agreement": values.get("agreement"),
    }


def _window(row: RowMapping) -> Window:
    values = dict(row)
    del values["id"]
    values["release"] = {"model": values.pop("model"), "version": values.pop("version")}
    values["cameras"] = values.get("cameras") or {}
    return Window.model_validate(values)
