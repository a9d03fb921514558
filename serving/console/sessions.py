"""Who is signed in: kept in this process, so that a restart signs everybody out."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from serving.store.values import ApiKey

# A working day: whoever left a browser open overnight signs in again.
_LASTS_S = 12 * 3600.0
# Of one key: what somebody does with it ends nobody else's.
_MOST_OF_A_KEY = 20

Clock = Callable[[], float]
"""Monotonic seconds."""


@dataclass(eq=False)
class Session:
    """A browser that has signed in.

    Attributes:
        key: Whose; as the store knew it at the last look. Its text is kept nowhere.
        ends_at: By the clock; however much it is used.
        clock: Monotonic seconds.
    """

    key: ApiKey
    ends_at: float = float("inf")
    clock: Clock = time.monotonic
    _over: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def is_over(self) -> bool:
        """Whether its time is up, its holder has signed out, or its key is no longer good."""
        return self._over.is_set() or self.clock() >= self.ends_at

    def end(self) -> None:
        """Have it over; who waits for that is told."""
        self._over.set()

    async def until_over(self) -> None:
        """Wait until it is over."""
        left_s = self.ends_at - self.clock()
        try:
            async with asyncio.timeout(None if left_s == float("inf") else left_s):
                await self._over.wait()
        except TimeoutError:
            self.end()


class Sessions:
    """Sessions by the secret in their cookie, of which only a hash is kept.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._by_digest: dict[bytes, Session] = {}

    def __len__(self) -> int:
        """How many are kept, those that are over and not swept yet among them."""
        return len(self._by_digest)

    def begin(self, key: ApiKey) -> str:
        """Return the secret of a new session; a key's oldest end where it has too many."""
        self._sweep()
        mine = [digest for digest, one in self._by_digest.items() if one.key.id == key.id]
        for digest in mine[: max(0, len(mine) - _MOST_OF_A_KEY + 1)]:
            self._by_digest.pop(digest).end()
        secret = secrets.token_urlsafe(32)
        ends_at = self._clock() + _LASTS_S
        self._by_digest[_digest(secret)] = Session(key, ends_at, self._clock)
        return secret

    def find(self, secret: str) -> Session | None:
        """Return the session with this secret; None where there is none or it is over."""
        session = self._by_digest.get(_digest(secret))
        if session is not None and session.is_over:
            self.end(secret)
            return None
        return session

    def end(self, secret: str) -> None:
        """Sign a browser out, with all its open pages."""
        session = self._by_digest.pop(_digest(secret), None)
        if session is not None:
            session.end()

    def _sweep(self) -> None:
        for digest in [one for one, session in self._by_digest.items() if session.is_over]:
            self._by_digest.pop(digest).end()


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
