"""Queries on the audit log: rows are only ever added."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.store.tables import audit as table
from serving.store.values import AuditEntry

_COLUMNS = (table.c.at, table.c.who, table.c.action, table.c.subject, table.c.detail)


async def add(
    connection: AsyncConnection, who: str, action: str, subject: str, detail: str
) -> None:
    """Add an entry, dated now."""
    values = {"at": datetime.now(UTC), "who": who, "action": action}
    await connection.execute(insert(table).values(**values, subject=subject, detail=detail))


async def newest(
    connection: AsyncConnection, limit: int = 100, words: Sequence[str] = ()
) -> list[AuditEntry]:
    """Return at most `limit` entries that hold each of the words, newest first.

    Args:
        connection: In a transaction.
        limit: At most so many.
        words: Parts of who did it, of the act, of its subject or of its detail, in any case.
    """
    texts = (table.c.who, table.c.action, table.c.subject, table.c.detail)
    held = [or_(*(text.icontains(word, autoescape=True) for text in texts)) for word in words]
    query = select(*_COLUMNS).where(*held).order_by(table.c.id.desc()).limit(limit)
    return [
        AuditEntry.model_validate(dict(row)) for row in (await connection.execute(query)).mappings()
    ]


async def between(
    connection: AsyncConnection, *, since: datetime, until: datetime, limit: int
) -> list[AuditEntry]:
    """Return at most `limit` entries of `since` or later, and before `until`, the newest first."""
    within = (table.c.at >= since) & (table.c.at < until)
    query = select(*_COLUMNS).where(within).order_by(table.c.id.desc()).limit(limit)
    return [
        AuditEntry.model_validate(dict(row)) for row in (await connection.execute(query)).mappings()
    ]
