"""Presented keys are checked on every request; the slow hash is paid once."""

import asyncio
import hashlib
import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from serving.access.keys import PREFIX, KeyStore, has_expired, slow_hash
from serving.errors import PermissionDenied, Unauthenticated
from serving.store.values import ApiKey, Scope

log = structlog.get_logger(__name__)

_REMEMBERED_KEYS = 4096
# Less than a camera has for a frame.
_STORE_PATIENCE_S = 0.5
_HINT = (
    "send `Authorization: Bearer KEY` (or X-API-Key over HTTP); "
    "`understudy key create` makes a key, the first start wrote one to STATE_DIR/admin.key"
)


@dataclass(frozen=True)
class _Verified:
    """A key whose secret was right.

    Attributes:
        key: As the store knew it at `read_at`.
        read_at: Monotonic seconds.
        asked_at: When the store was last asked, whether or not it answered.
    """

    key: ApiKey
    read_at: float
    asked_at: float


_Reading = tuple["asyncio.Task[ApiKey]", float]
"""A key that is being read, and since when, in monotonic seconds."""


class Authenticator:
    """Checks presented keys; a good one costs its slow hash once.

    Args:
        store: Where keys are kept.
        reread_after_s: How long a key is trusted without asking the store again: a revocation
            takes effect within this, as long as the store answers.
        trusted_s: How long a key is trusted while the store does not answer: cameras that are
            known must not go dark because a database is started anew.
        enabled: False answers every request as `anonymous`, scope admin (the flag --no-auth).
    """

    def __init__(
        self,
        store: KeyStore,
        *,
        reread_after_s: float = 0.5,
        trusted_s: float = 60.0,
        enabled: bool = True,
    ) -> None:
        self._store = store
        self._reread_after_s = reread_after_s
        self._trusted_s = trusted_s
        self._enabled = enabled
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        self._reading: dict[bytes, _Reading] = {}
        # Guessing must not eat the cores that serve frames.
        self._hashing = asyncio.Semaphore(2)

    async def authenticate(self, presented: str | None, needed: Scope) -> ApiKey:
        """Return the key that was presented.

        Args:
            presented: The key's text, without "Bearer".
            needed: What the caller wants to do.

        Raises:
            Unauthenticated: No key, or one that is unknown, expired or revoked.
            PermissionDenied: The key's scope does not reach `needed`.
        """
        if not self._enabled:
            return _ANONYMOUS
        if not presented:
            raise Unauthenticated(f"no API key: {_HINT}")
        key = await self._known(presented)
        _refuse_ended(key)
        _refuse_scope(key, needed)
        return key

    @property
    def enabled(self) -> bool:
        """Whether anybody needs a key."""
        return self._enabled

    async def again(self, key: ApiKey, needed: Scope) -> ApiKey:
        """Return a key that was presented before, as the store knows it now.

        Args:
            key: From `authenticate`, some time ago.
            needed: What its holder wants to do now.

        Raises:
            Unauthenticated: It is gone, expired or revoked.
            PermissionDenied: Its scope does not reach `needed`.
        """
        if not self._enabled:
            return _ANONYMOUS
        now = await self._find(key.id)
        _refuse_ended(now)
        _refuse_scope(now, needed)
        return now

    async def _known(self, presented: str) -> ApiKey:
        digest = hashlib.sha256(presented.encode()).digest()
        seen = self._verified.get(digest)
        if seen is not None and time.monotonic() - seen.asked_at < self._reread_after_s:
            return seen.key
        if seen is not None:
            verified = await self._read_again(digest, seen)
        else:
            key_id = await self._check_secret(presented)
            # After the slow hash, which may have queued: it was revoked meanwhile, perhaps.
            read_at = time.monotonic()
            verified = _Verified(await self._find(key_id), read_at, read_at)
        self._remember(digest, verified)
        return verified.key

    async def _read_again(self, digest: bytes, seen: _Verified) -> _Verified:
        """Return the key as the store knows it now, or as it did where it does not answer."""
        asked_at = time.monotonic()
        reading, begun_at = self._reading.get(digest) or self._begin_reading(digest, seen, asked_at)
        left_s = max(0.0, begun_at + _STORE_PATIENCE_S - asked_at)
        # Left to run when that is over: PostgreSQL's client takes ten seconds to give up a server
        # whose host is gone, and a camera's frame must not wait for that.
        await asyncio.wait({reading}, timeout=left_s)
        try:
            return _Verified(_read(reading), begun_at, asked_at)
        except Unauthenticated:
            raise
        except Exception:
            if asked_at - seen.read_at >= self._trusted_s:
                raise
            log.warning("the store did not answer for a key: trusted as it was", key_id=seen.key.id)
            return replace(seen, asked_at=asked_at)

    def _begin_reading(self, digest: bytes, seen: _Verified, now: float) -> _Reading:
        """Ask the store for a key; all who hold it share the answer."""
        reading = asyncio.create_task(self._find(seen.key.id))
        self._reading[digest] = reading, now

        def ended(task: "asyncio.Task[ApiKey]") -> None:
            del self._reading[digest]
            if not task.cancelled():
                task.exception()  # seen: perhaps nobody waits any more

        reading.add_done_callback(ended)
        return reading, now

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        self._verified[digest] = verified
        self._verified.move_to_end(digest)
        while len(self._verified) > _REMEMBERED_KEYS:
            self._verified.popitem(last=False)

    async def _check_secret(self, presented: str) -> str:
        """Return the id of the key whose text this is."""
        prefix, _, rest = presented.partition("_")
        key_id, _, secret = rest.partition("_")
        if prefix != PREFIX or not key_id or not secret:
            raise Unauthenticated(f"the API key does not read {PREFIX}_ID_SECRET: {_HINT}")
        key = await self._find(key_id)
        async with self._hashing:
            found = await asyncio.to_thread(slow_hash, secret, key.salt)
        if not hmac.compare_digest(found, key.hash):
            raise Unauthenticated(f"the API key is not one of ours: {_HINT}")
        return key_id

    async def _find(self, key_id: str) -> ApiKey:
        key = await self._store.key(key_id)
        if key is None:
            raise Unauthenticated(f"the API key is not one of ours: {_HINT}")
        return key


_ANONYMOUS = ApiKey(
    id="anonymous",
    name="anonymous",
    scope=Scope.ADMIN,
    salt=b"",
    hash=b"",
    created=datetime(1970, 1, 1, tzinfo=UTC),
)


def _read(reading: "asyncio.Task[ApiKey]") -> ApiKey:
    if not reading.done():
        raise TimeoutError("the store did not answer for a key")
    return reading.result()


def _refuse_ended(key: ApiKey) -> None:
    if key.revoked is not None:
        raise Unauthenticated(f"the API key {key.name!r} was revoked at {key.revoked.isoformat()}")
    if key.expires is not None and has_expired(key):
        raise Unauthenticated(f"the API key {key.name!r} expired at {key.expires.isoformat()}")


def _refuse_scope(key: ApiKey, needed: Scope) -> None:
    if not key.scope.reaches(needed):
        raise PermissionDenied(
            f"the key {key.name!r} has scope {key.scope}; this needs {needed}: "
            "use another key, or make one with `understudy key create --scope`"
        )
