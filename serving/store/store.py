"""The store: each method is one transaction."""

from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from serving.errors import ConfigurationError
from serving.store import audit, gateways, keys, releases, routes
from serving.store.engine import create_engine, reader
from serving.store.migrate import upgrade
from serving.store.values import (
    ApiKey,
    AuditEntry,
    GatewayStatus,
    Release,
    ReleaseKey,
    ReleaseState,
    Route,
    RouteRevision,
)


class Store:
    """Desired state and what the planes tell each other; safe to share between tasks.

    Args:
        engine: Of a database at this code's schema; see `open_store`.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reader = reader(engine)

    def _read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._reader.begin()

    def _write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._engine.begin()

    async def routes(self) -> dict[str, RouteRevision]:
        """Return the newest revision of each route, by its name."""
        async with self._read() as connection:
            return await routes.newest(connection)

    async def latest_revision(self) -> int:
        """Return the newest revision of all routes; 0 where there is none."""
        async with self._read() as connection:
            return await routes.latest_revision(connection)

    async def history(self, name: str, limit: int = 50) -> list[RouteRevision]:
        """Return a route's revisions, newest first."""
        async with self._read() as connection:
            return await routes.history(connection, name, limit)

    async def put_route(
        self, route: Route, *, who: str, why: str, expected_revision: int | None = None
    ) -> RouteRevision:
        """Add a revision of a route, and its audit entry.

        Args:
            route: The wanted state.
            who: Name of the key that asks.
            why: The operator's words.
            expected_revision: The route's newest revision as the caller knows it (0: no such
                route yet); None: whatever it is.

        Raises:
            RouteConflict: Someone else changed the route meanwhile.
        """
        async with self._write() as connection:
            added = await routes.put(connection, route, who, why, expected_revision)
            arms = " ".join(f"{arm.name}={arm.release}:{arm.weight:g}" for arm in route.arms)
            detail = f"revision {added.revision}: {arms}; {why}"
            await audit.add(connection, who, "route.set", route.name, detail)
            return added

    async def releases(self) -> list[Release]:
        """Return all releases, the oldest first."""
        async with self._read() as connection:
            return await releases.every(connection)

    async def release(self, key: ReleaseKey) -> Release | None:
        """Return one release, or None."""
        async with self._read() as connection:
            return await releases.one(connection, key)

    async def put_release(self, release: Release) -> None:
        """Add a release, or replace the one of its name and version."""
        async with self._write() as connection:
            await releases.put(connection, release)

    async def move_release(
        self,
        key: ReleaseKey,
        to: ReleaseState,
        *,
        expect: AbstractSet[ReleaseState],
        reason: str = "",
    ) -> Release:
        """Give a release another state if it is in one of `expect`.

        Raises:
            ReleaseNotFound: No release has this name and version.
            ReleaseBusy: It is in another state.
        """
        async with self._write() as connection:
            return await releases.move(connection, key, to, expect, reason)

    async def resize_release(self, key: ReleaseKey, workers: int) -> Release:
        """Write on how many workers a release runs; its state stays as it is.

        Raises:
            ReleaseNotFound: No release has this name and version.
        """
        async with self._write() as connection:
            return await releases.resize(connection, key, workers)

    async def join_gateway(self, gateway_id: str) -> None:
        """Add a gateway: before it first reads the routes, so that no drain overlooks it."""
        async with self._write() as connection:
            await gateways.join(connection, gateway_id)

    async def heartbeat(self, gateway_id: str, revision: int, in_flight: dict[str, int]) -> None:
        """Write what a gateway has applied and what it holds, by "MODEL-VERSION".

        Both must be read at one moment, with no await between them.
        """
        async with self._write() as connection:
            await gateways.beat(connection, gateway_id, revision, in_flight)

    async def leave_gateway(self, gateway_id: str) -> None:
        """Remove a gateway that has stopped with nothing in flight."""
        async with self._write() as connection:
            await gateways.leave(connection, gateway_id)

    async def gateways(self) -> list[GatewayStatus]:
        """Return the gateways' last heartbeats, the oldest gateway first."""
        async with self._read() as connection:
            return await gateways.every(connection)

    async def drained(self, key: ReleaseKey, revision: int, silent_after_s: float) -> bool:
        """Tell whether no live gateway holds, or can still send, work for a release.

        Args:
            key: The release.
            revision: The first one that no longer names it.
            silent_after_s: A gateway that was silent for this long, in seconds, counts as gone.
        """
        async with self._read() as connection:
            return await gateways.drained(connection, key, revision, silent_after_s)

    async def add_key(self, key: ApiKey) -> None:
        """Add a key; its id must be new."""
        async with self._write() as connection:
            await keys.add(connection, key)

    async def key(self, key_id: str) -> ApiKey | None:
        """Return one key, or None."""
        async with self._read() as connection:
            return await keys.one(connection, key_id)

    async def keys(self) -> list[ApiKey]:
        """Return all keys, the oldest first, revoked ones too."""
        async with self._read() as connection:
            return await keys.every(connection)

    async def revoke_key(self, key_id: str) -> ApiKey:
        """Revoke a key from now on; a second time changes nothing.

        Raises:
            UnknownKey: No key has this id.
        """
        async with self._write() as connection:
            return await keys.revoke(connection, key_id)

    async def audit(self, who: str, action: str, subject: str, detail: str) -> None:
        """Add an entry to the audit log."""
        async with self._write() as connection:
            await audit.add(connection, who, action, subject, detail)

    async def audit_log(self, limit: int = 100) -> list[AuditEntry]:
        """Return the newest entries of the audit log, newest first."""
        async with self._read() as connection:
            return await audit.newest(connection, limit)


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[Store]:
    """Open the store at `url`, bring its schema up to date, close it at the end.

    Args:
        url: "sqlite+aiosqlite:///FILE"; the file is made, its folder is not.

    Raises:
        ConfigurationError: The URL, the file or its schema cannot be used.
    """
    engine = create_engine(url)
    try:
        try:
            async with engine.begin() as connection:
                await connection.run_sync(upgrade)
        except DatabaseError as error:
            raise ConfigurationError(
                f"store: {engine.url.database} cannot be opened ({error.orig}); its folder must "
                "exist and be writable, and the file must be this program's own"
            ) from error
        yield Store(engine)
    finally:
        await engine.dispose()
