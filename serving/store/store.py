"""The store: each method is one transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import DatabaseError

from serving.store import (
    audit,
    cameras,
    changes,
    clock,
    desired,
    gateways,
    generation,
    glances,
    happened,
    keys,
    leases,
    placements,
    releases,
    rollouts,
    routes,
    window_sums,
    windows,
)
from serving.store.engine import create_engine, unusable
from serving.store.migrate import must_be_current, upgrade
from serving.store.transactions import Transactions


class Store:
    """Desired state and what the planes tell each other; safe to share between tasks.

    Its methods are the queries of this package's modules, where each is described; called on the
    store they take no connection, for each call is a transaction of its own.

    Args:
        transactions: Of a database at this code's schema; see `open_store`.
    """

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        read, write = transactions.reading, transactions.writing

        self.now = read(clock.now)
        self.generation = read(generation.current)
        self.desired = read(desired.desired)

        self.routes = read(routes.newest)
        self.latest_revision = read(routes.latest_revision)
        self.history = read(routes.history)
        self.put_route = write(routes.put)
        self.change_route = write(changes.change_route)

        self.releases = read(releases.every)
        self.release = read(releases.one)
        self.put_release = write(releases.put)
        self.move_release = write(releases.move)
        self.move_releases = write(releases.move_all)
        self.resize_release = write(releases.resize)

        self.placements = read(placements.every)
        self.put_placements = write(placements.put)

        # Who has lost the lease may compete for it again.
        self.acquire_lease = transactions.writing_unfenced(leases.acquire)
        self.lease = read(leases.current)
        self.renew_lease = transactions.writing_unfenced(leases.renew)
        self.release_lease = transactions.writing_unfenced(leases.release)

        self.gateways = read(gateways.every)
        self.gateways_behind = read(gateways.behind)
        self.holders = transactions.reading_fenced(gateways.holders)
        self.join_gateway = write(gateways.join)
        self.heartbeat = write(gateways.beat)
        self.leave_gateway = write(gateways.leave)

        self.windows, self.windows_page = read(windows.since), read(windows.page)
        self.glances = read(glances.page)
        self.add_windows = write(windows.add)
        self.forget_windows = write(windows.forget)

        self.cameras = read(cameras.every)
        self.camera = read(cameras.one)
        self.camera_sightings = read(cameras.sightings)
        self.see_cameras = write(cameras.see)
        self.put_camera = write(cameras.put)
        self.put_cameras = write(cameras.put_all)
        self.forget_camera = write(cameras.forget)
        self.forget_strange_cameras = write(cameras.forget_strange)

        self.rollout = read(rollouts.one)
        self.rollouts = read(rollouts.newest)
        self.rollouts_under_way = read(rollouts.under_way)
        self.put_rollout = write(rollouts.put)

        self.key, self.keys = read(keys.one), read(keys.every)
        self.add_key, self.limit_key = write(keys.add), write(keys.limit)
        self.revoke_key, self.end_key = write(keys.revoke), write(keys.end)

        self.audit = write(audit.add)
        self.audit_log = read(audit.newest)

        self.window_sums, self.happened = read(window_sums.sums), read(happened.between)

    def fenced(self, epoch: int) -> "Store":
        """Return the same store for whoever leads at `epoch`.

        Its writes, and `holders`, raise LeaseLost once the lease has expired or gone to another
        epoch; it is checked in their own transaction, so that nothing comes between.
        """
        return Store(self._transactions.fenced(epoch))


@asynccontextmanager
async def open_store(
    url: str, *, migrate: bool = True, create: bool = True
) -> AsyncIterator[Store]:
    """Open the store at `url`, bring its schema up to date, close it at the end.

    Args:
        url: "sqlite+aiosqlite:///FILE", where the file is made and its folder is not; or
            "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE", where the database exists.
        migrate: False leaves the schema alone, and refuses one that is not up to date.
        create: Whether SQLite's file is made where it is missing.

    Raises:
        ConfigurationError: The URL, the database or its schema cannot be used.
    """
    engine = create_engine(url, create=create)
    try:
        try:
            async with engine.begin() as connection:
                await connection.run_sync(upgrade if migrate else must_be_current)
        except DatabaseError as error:
            raise unusable(engine.url, error) from error
        yield Store(Transactions(engine))
    finally:
        await engine.dispose()
