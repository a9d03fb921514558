"""Turns a query into a method of the store: one call, one transaction."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from serving.store import leases
from serving.store.engine import reader
from serving.store.uncut import uncut

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
Query = Callable[Concatenate[AsyncConnection, _Arguments], Awaitable[_Result]]
Method = Callable[_Arguments, Coroutine[Any, Any, _Result]]


class Transactions:
    """Transactions of one database.

    Args:
        engine: Whose transactions take the write lock at their start.
        epoch: Those that must not outlive the lease first check that it is still at this epoch;
            None: nobody asks.
    """

    def __init__(self, engine: AsyncEngine, epoch: int | None = None) -> None:
        self._engine = engine
        self._reader = reader(engine)
        self._epoch = epoch

    def fenced(self, epoch: int) -> "Transactions":
        """Return transactions of the same database that hold only while the lease does."""
        return Transactions(self._engine, epoch)

    def reading(self, query: Query[_Arguments, _Result]) -> Method[_Arguments, _Result]:
        """Run in a transaction that sees one moment and never waits for a writer."""
        return _method(self._reader, query, None)

    def reading_fenced(self, query: Query[_Arguments, _Result]) -> Method[_Arguments, _Result]:
        """Run likewise, and see the lease at the same moment.

        The method raises LeaseLost where the lease is lost.
        """
        return _method(self._reader, query, self._epoch)

    def writing(self, query: Query[_Arguments, _Result]) -> Method[_Arguments, _Result]:
        """Run in a transaction that is the database's only writer from its start to its end.

        The method raises LeaseLost where the lease is lost; nothing is written then.
        """
        return _method(self._engine, query, self._epoch)

    def writing_unfenced(self, query: Query[_Arguments, _Result]) -> Method[_Arguments, _Result]:
        """Run likewise, whoever has the lease."""
        return _method(self._engine, query, None)


def _method(
    engine: AsyncEngine, query: Query[_Arguments, _Result], epoch: int | None
) -> Method[_Arguments, _Result]:
    async def transaction(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        async with _begun(engine, epoch) as connection:
            return await query(connection, *args, **kwargs)

    @wraps(query)
    async def call(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        return await uncut(transaction(*args, **kwargs))

    return call


@asynccontextmanager
async def _begun(engine: AsyncEngine, epoch: int | None) -> AsyncIterator[AsyncConnection]:
    async with engine.begin() as connection:
        if epoch is not None:
            await leases.check(connection, epoch)
        yield connection
