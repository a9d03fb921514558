"""Windows as somebody reads them who only looks: light, for a page shows an hour of them."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Text, cast, select
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.store import windows
from serving.store.observations import Histogram
from serving.store.tables import window_cameras as cameras_table
from serving.store.tables import windows as table


class Glance(NamedTuple):
    """One window; see `Window`.

    Attributes:
        start: UTC.
        arm: Who answered, or failed to.
        release: The arm's, "MODEL-VERSION".
        kind: "primary", "fallback" or "shadow".
        codes: Requests by the code they ended in.
        latency: Of the answered ones.
        agreement: As `AgreementSums` without what is 0; only of kind shadow.
        cameras: How many frames of each camera were answered; {} of kind shadow.
    """

    start: datetime
    arm: str
    release: str
    kind: str
    codes: Mapping[str, int]
    latency: Histogram
    agreement: Mapping[str, float] | None
    cameras: Mapping[str, int]


class GlancePage(NamedTuple):
    """Some of a route's windows, in the order in which they were added.

    Attributes:
        glances: At most as many as were asked for.
        last: Where the next page goes on; None where nothing was found yet.
    """

    glances: list[Glance]
    last: int | None


async def page(
    connection: AsyncConnection,
    route: str,
    *,
    since: datetime,
    after: int | None,
    limit: int,
    cameras_since: datetime,
) -> GlancePage:
    """Return the next of a route's windows that start at `since` or later.

    The texts are read in a thread: a window may hold ten thousand cameras.

    Args:
        connection: In a transaction.
        route: Name.
        since: UTC.
        after: The last page's `last`; None: from the first on.
        limit: At most so many.
        cameras_since: UTC; windows that start earlier come without their cameras.
    """
    after = await windows.begin(connection, route, since) if after is None else after
    if after is None:
        return GlancePage([], None)
    parts = (
        (table.c.id == cameras_table.c.window)
        & (cameras_table.c.start >= cameras_since)
        & (table.c.kind != "shadow")
    )
    texts = (table.c.codes, table.c.latency, table.c.agreement, cameras_table.c.cameras)
    query = (
        select(table.c.id, table.c.start, table.c.arm, table.c.model, table.c.version, table.c.kind)
        .add_columns(*(cast(one, Text) for one in texts))
        .join_from(table, cameras_table, parts, isouter=True)
        .where(table.c.route == route, table.c.id > after)
        .order_by(table.c.id)
        .limit(limit)
    )
    rows = [tuple(row) for row in await connection.execute(query)]
    last = rows[-1][0] if rows else after
    return GlancePage(await asyncio.to_thread(_read, rows, since), last)


def _read(rows: Iterable[tuple[Any, ...]], since: datetime) -> list[Glance]:
    return [
        Glance(
            start=start,
            arm=arm,
            release=f"{model}-{version}",
            kind=kind,
            codes=orjson.loads(codes),
            latency={int(bucket): count for bucket, count in orjson.loads(latency).items()},
            agreement=None if agreement is None else orjson.loads(agreement),
            cameras=_answered(cameras),
        )
        for _, start, arm, model, version, kind, codes, latency, agreement, cameras in rows
        if start >= since
    ]


def _answered(cameras: str | None) -> dict[str, int]:
    found = {} if cameras is None else orjson.loads(cameras)
    return {name: sum(part.get("latency", {}).values()) for name, part in found.items()}
