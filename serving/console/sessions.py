"""Who is signed in: kept in this process, so that a restart signs everybody out."""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from serving.store.values import ApiKey

# A working day: whoever left a browser open overnight signs in again.
_LASTS_S = 12 * 3600.0
_MOST = 1000


@dataclass
class Session:
    """A browser that has signed in.

    Attributes:
        key: Whose; as the store knew it at the last look. Its text is kept nowhere.
        ends_at: Monotonic seconds.
        ended: Whether its holder has signed out, or its key is no longer good.
    """

    key: ApiKey
    ends_at: float
    ended: bool = False


class Sessions:
    """Sessions by the secret in their cookie, of which only a hash is kept.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_digest: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, key: ApiKey) -> str:
        """Return the secret of a new session."""
        secret = secrets.token_urlsafe(32)
        self._by_digest[_digest(secret)] = Session(key, self._clock() + _LASTS_S)
        while len(self._by_digest) > _MOST:
            _, oldest = self._by_digest.popitem(last=False)
            oldest.ended = True
        return secret

    def find(self, secret: str) -> Session | None:
        """Return the session with this secret; None where there is none or it is over."""
        session = self._by_digest.get(_digest(secret))
        if session is None:
            return None
        if session.ended or self._clock() >= session.ends_at:
            self.end(secret)
            return None
        return session

    def end(self, secret: str) -> None:
        """Sign a browser out; its open pages notice by the session's `ended`."""
        session = self._by_digest.pop(_digest(secret), None)
        if session is not None:
            session.ended = True


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
