"""The control plane's lease: who leads, until when, and the epoch that fences off who led before.

There is one row. Its epoch only grows, so that an epoch names one holder for ever.
"""

from datetime import timedelta

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.errors import LeaseLost
from serving.store import clock
from serving.store.tables import leases as table
from serving.store.values import Lease

_NOBODY = ""


async def current(connection: AsyncConnection) -> Lease | None:
    """Return the lease as it was last written, expired or not; None before the first."""
    columns = (table.c.holder, table.c.epoch, table.c.expires)
    row = (await connection.execute(select(*columns))).mappings().first()
    return None if row is None else Lease.model_validate(dict(row))


async def acquire(connection: AsyncConnection, holder: str, ttl_s: float) -> Lease | None:
    """Take the lease where it is free, expired or the holder's own already, at the next epoch.

    Args:
        connection: In a write transaction.
        holder: Unique to the process.
        ttl_s: How long it is held without a renewal, in seconds of the database's clock.

    Returns:
        The lease, or None where another holds it.
    """
    at = await clock.now(connection)
    found = await current(connection)
    expires = at + timedelta(seconds=ttl_s)
    if found is None:
        lease = Lease(holder=holder, epoch=1, expires=expires)
        await connection.execute(insert(table).values(id=1, **lease.model_dump()))
        return lease
    if found.holder not in {_NOBODY, holder} and found.expires > at:
        return None
    lease = Lease(holder=holder, epoch=found.epoch + 1, expires=expires)
    await connection.execute(update(table).values(**lease.model_dump()))
    return lease


async def renew(connection: AsyncConnection, lease: Lease, ttl_s: float) -> Lease:
    """Hold the lease for another `ttl_s` seconds from now, at the same epoch.

    Raises:
        LeaseLost: It has expired, was released, or another has it.
    """
    await check(connection, lease.epoch)
    expires = await clock.now(connection) + timedelta(seconds=ttl_s)
    await connection.execute(update(table).values(expires=expires))
    return lease.model_copy(update={"expires": expires})


async def release(connection: AsyncConnection, lease: Lease) -> None:
    """Let the lease go; where it is another's by now, nothing changes."""
    mine = (table.c.epoch == lease.epoch) & (table.c.holder == lease.holder)
    at = await clock.now(connection)
    await connection.execute(update(table).where(mine).values(holder=_NOBODY, expires=at))


async def check(connection: AsyncConnection, epoch: int) -> None:
    """Make sure that the lease is still held at this epoch.

    Raises:
        LeaseLost: It is not.
    """
    found = await current(connection)
    if found is None or found.epoch != epoch:
        now_at = "nowhere" if found is None else f"at {found.epoch}"
        raise LeaseLost(
            f"lease: epoch {epoch} is over, the lease is {now_at}; another controller leads, ask it"
        )
    if found.holder == _NOBODY or found.expires <= await clock.now(connection):
        raise LeaseLost(f"lease: epoch {epoch} has ended unrenewed; ask the controller that leads")
