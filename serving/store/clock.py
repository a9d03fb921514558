"""The database's clock: the only one that heartbeats and leases are dated by."""

from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Not the start of the transaction: it may have waited long for its turn to write.
_NOW = {
    "sqlite": text("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')"),
    "postgresql": text("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', :form)").bindparams(
        form='YYYY-MM-DD"T"HH24:MI:SS.US'
    ),
}


async def now(connection: AsyncConnection) -> datetime:
    """Return the time of this statement by the database's clock, UTC."""
    told = await connection.scalar(_NOW[connection.dialect.name])
    return datetime.fromisoformat(str(told)).replace(tzinfo=UTC)
