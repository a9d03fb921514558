"""Workers by a DNS name: whoever it resolves to is one, for as long as it does."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

import structlog

from serving.torchserve.backend import Backend
from serving.torchserve.roster import Roster

_log = structlog.get_logger(__name__)

LOOK_S = 2.0
_PATIENCE_S = 5.0
# Some servers answer with a few of many addresses, another few each time.
_ANSWERS_WITHOUT = 5
# The longest deadline, and what is waited for beyond it: nobody's frame is on its way any more.
_CLOSED_AFTER_S = 180.0

Resolve = Callable[[str], Awaitable[Collection[str]]]
"""Returns the addresses of a name; raises OSError where it has none, or nobody can tell."""
Open = Callable[[str], AbstractAsyncContextManager[Backend]]
"""Opens the worker at an address."""


async def resolve(name: str) -> Collection[str]:
    """Return a host's addresses, as the system resolves it; IPv6 only where it has no other.

    Raises:
        OSError: It has none, or nobody can tell.
    """
    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    four = {str(address[0]) for family, *_, address in found if family is socket.AF_INET}
    return four or {str(address[0]) for _, _, _, _, address in found}


class Sightings:
    """What a name's answers say about who is there.

    An address is there from the first answer on that holds it, and until five in a row that hold
    others have lacked it. No answer, or one without any address, says nothing: a name server
    that is down takes no worker down.

    Args:
        answers_without: How many answers in a row an address may be missing from, less one.
    """

    def __init__(self, answers_without: int = _ANSWERS_WITHOUT) -> None:
        self._answers_without = answers_without
        self._missed: dict[str, int] = {}

    @property
    def addresses(self) -> Collection[str]:
        """Who is there, those that came first in front; empty before the first answer."""
        return self._missed.keys()

    def answered(self, addresses: Collection[str]) -> None:
        """Take an answer."""
        if not addresses:
            return
        missed = {one: times + 1 for one, times in self._missed.items()}
        missed |= dict.fromkeys(sorted(addresses), 0)
        self._missed = {one: n for one, n in missed.items() if n < self._answers_without}


class Discovery:
    """Keeps a roster at what names resolve to.

    Args:
        names: To resolve, again and again.
        standing: Backends that are in the roster whatever DNS says.
        open_worker: Opens one; a worker is known by its address.
        resolving: How; the system's way.
    """

    def __init__(
        self,
        names: Iterable[str],
        standing: Iterable[Backend],
        open_worker: Open,
        resolving: Resolve = resolve,
    ) -> None:
        self._sightings = {name: Sightings() for name in names}
        self._standing = tuple(standing)
        self._open_worker = open_worker
        self._resolve = resolving
        self._opened: dict[str, tuple[Backend, AsyncExitStack]] = {}
        self._leaving: dict[str, asyncio.TimerHandle] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._told: dict[str, str] = {}
        self.roster = Roster(self._standing, complete=not self._sightings)

    @asynccontextmanager
    async def running(self, look_s: float = LOOK_S) -> AsyncIterator[Roster]:
        """Look once, then again and again while the block runs; close everyone at its end."""
        following = None
        try:
            await self.look()
            if self._sightings:
                following = asyncio.create_task(self._follow(look_s), name="discovery")
            yield self.roster
        finally:
            if following is not None:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
            for timer in self._leaving.values():
                timer.cancel()
            await asyncio.gather(*self._closing)
            for _, stack in self._opened.values():
                await stack.aclose()

    async def look(self) -> None:
        """Resolve every name once and bring the roster to it."""
        await asyncio.gather(*map(self._ask, self._sightings))
        wanted = [one for name in self._sightings.values() for one in name.addresses]
        for address in dict.fromkeys(wanted):
            await self._join(address)
        for address in self._opened.keys() - set(wanted) - self._leaving.keys():
            self._leave(address)
        there = [one for at, (one, _) in self._opened.items() if at not in self._leaving]
        complete = all(one.addresses for one in self._sightings.values())
        self.roster.put([*self._standing, *there], complete=complete)

    async def _follow(self, look_s: float) -> None:
        while True:
            await asyncio.sleep(look_s)
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - the loop must live: the next look may go well
                _log.exception("workers_not_looked_up")

    async def _ask(self, name: str) -> None:
        problem = ""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                self._sightings[name].answered(await self._resolve(name))
        except (OSError, UnicodeError) as error:  # a TimeoutError is an OSError
            problem = str(error) or "no answer"
        if problem != self._told.get(name, ""):
            self._told[name] = problem
            if problem:
                _log.warning("workers_not_resolved", name=name, error=problem)

    async def _join(self, address: str) -> None:
        timer = self._leaving.pop(address, None)
        if timer is not None:
            timer.cancel()
        elif address in self._opened:
            return
        else:
            stack = AsyncExitStack()
            backend = await stack.enter_async_context(self._open_worker(address))
            self._opened[address] = (backend, stack)
        _log.info("worker_joined", address=address)

    def _leave(self, address: str) -> None:
        """Let a worker answer what it has before its connections are closed."""
        _log.warning("worker_left", address=address, meaning="its DNS name names it no more")
        later = asyncio.get_running_loop().call_later
        self._leaving[address] = later(_CLOSED_AFTER_S, partial(self._close, address))

    def _close(self, address: str) -> None:
        del self._leaving[address]
        _, stack = self._opened.pop(address)
        closing = asyncio.create_task(stack.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
