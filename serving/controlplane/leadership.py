"""One controller leads: it holds a lease, and makes sure of it before what cannot be undone."""

import asyncio
import time
from collections.abc import Callable
from typing import NoReturn

import structlog

from serving.errors import LeaseLost
from serving.store.store import Store
from serving.store.values import Lease

_log = structlog.get_logger(__name__)

LEASE_TTL_S = 6.0
# So many renewals fail before the lease is lost.
_RENEWALS_A_LEASE = 4
# What a call to TorchServe may take to arrive, as a part of the lease.
_ACT_WITHIN = 0.5


class Claim:
    """A lease that this process holds.

    Args:
        store: Keeps the lease; not fenced.
        lease: As it was acquired.
        asked_at_s: The clock just before it was asked for.
        ttl_s: How long it lasts from a renewal, seconds.
        clock: Monotonic, seconds.
    """

    def __init__(
        self,
        store: Store,
        lease: Lease,
        *,
        asked_at_s: float,
        ttl_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._lease = lease
        self._ttl_s = ttl_s
        self._clock = clock
        self._asked_at_s = asked_at_s

    @property
    def epoch(self) -> int:
        """Fences the writes of this term."""
        return self._lease.epoch

    async def confirm(self) -> None:
        """Make sure that nobody else leads now, nor will before what follows has been done.

        Call it right before each act that cannot be undone. TorchServe knows no epochs: a renewed
        lease keeps the next leader out for its whole length, and a process that was held up in
        between finds that out here.

        Raises:
            LeaseLost: Somebody else leads, or might by now.
        """
        asked_at_s = self._clock()
        self._lease = await self._store.renew_lease(self._lease, self._ttl_s)
        self._asked_at_s = asked_at_s
        if not may_act(asked_at_s, self._clock(), self._ttl_s):
            raise LeaseLost("the store took too long to renew the lease")

    async def keep(self) -> NoReturn:
        """Renew it until it is lost.

        Raises:
            LeaseLost: It is.
        """
        while True:
            await asyncio.sleep(self._ttl_s / _RENEWALS_A_LEASE)
            asked_at_s = self._clock()
            try:
                self._lease = await self._store.renew_lease(self._lease, self._ttl_s)
            except LeaseLost:
                raise
            except Exception as error:
                _log.warning("lease_not_renewed", error=str(error))
                if self._clock() - self._asked_at_s >= self._ttl_s:
                    raise LeaseLost("the store did not answer for as long as it lasts") from error
            else:
                self._asked_at_s = asked_at_s

    async def give_up(self) -> None:
        """Let the next one lead at once."""
        await self._store.release_lease(self._lease)


class Leadership:
    """Competes for the lease.

    Args:
        store: Keeps it.
        holder: Who asks. A new process of the same name takes over at once, and the one before is
            fenced off: a supervisor names all controllers that it starts, one after the other,
            alike. One that was replaced so waits until the lease is free.
        ttl_s: How long a lease lasts from a renewal, seconds.
    """

    def __init__(self, store: Store, holder: str, *, ttl_s: float = LEASE_TTL_S) -> None:
        self._store = store
        self._holder = holder
        self._ttl_s = ttl_s
        self._had_its_turn = False
        self.leader = ""
        """Who led when this one last asked in vain; "" before."""

    async def try_acquire(self) -> Claim | None:
        """Return the claim where the lease is free, else None."""
        if self._had_its_turn and await self._is_held():
            return None
        asked_at_s = time.monotonic()
        lease = await self._store.acquire_lease(self._holder, self._ttl_s)
        if lease is None:
            await self._is_held()
            return None
        self._had_its_turn = True
        return Claim(self._store, lease, asked_at_s=asked_at_s, ttl_s=self._ttl_s)

    async def _is_held(self) -> bool:
        """Tell whether anybody leads, one of our own name included."""
        found = await self._store.lease()
        self.leader = "" if found is None else found.holder
        return found is not None and found.holder != "" and found.expires > await self._store.now()

    async def acquire(self) -> Claim:
        """Wait until the lease is free and return the claim."""
        while True:
            try:
                claim = await self.try_acquire()
            except Exception:  # noqa: BLE001 - a store that is away comes back
                _log.exception("lease_not_asked_for")
                claim = None
            if claim is not None:
                return claim
            await asyncio.sleep(self._ttl_s / _RENEWALS_A_LEASE)


def may_act(asked_at_s: float, now_s: float, ttl_s: float) -> bool:
    """Tell whether there is time left to act under a lease.

    Args:
        asked_at_s: The clock just before the renewal was asked for: it lasts at least from then.
        now_s: The same clock now.
        ttl_s: How long it lasts.
    """
    return now_s - asked_at_s < ttl_s * _ACT_WITHIN
