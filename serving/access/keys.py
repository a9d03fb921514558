"""API keys: minted once, kept as slow hashes.

A key reads `us_<id>_<secret>`: the id is public and finds the row; the secret, 32 random bytes, is
shown once and stored only as its scrypt hash.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from serving.store.values import ApiKey, Scope

PREFIX = "us"
# RFC 7914.
_SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}


class KeyStore(Protocol):
    """What keys need of the store."""

    async def add_key(self, key: ApiKey) -> None:
        """Keep a new key."""

    async def key(self, key_id: str) -> ApiKey | None:
        """Return the key with this id, revoked or not."""

    async def keys(self) -> Sequence[ApiKey]:
        """Return every key."""


def mint(
    name: str,
    scope: Scope,
    *,
    expires: datetime | None = None,
    frames_per_second: float | None = None,
) -> tuple[ApiKey, str]:
    """Make a key.

    Args:
        name: Who will hold it.
        scope: What it may do.
        expires: When it ends, UTC; None for never.
        frames_per_second: What its holders may have answered; None: no limit.

    Returns:
        What the store keeps, and the key's text, which nobody can recover later.
    """
    key_id, secret, salt = secrets.token_hex(6), secrets.token_urlsafe(32), secrets.token_bytes(16)
    key = ApiKey(
        id=key_id,
        name=name,
        scope=scope,
        salt=salt,
        hash=slow_hash(secret, salt),
        created=datetime.now(UTC),
        expires=expires,
        frames_per_second=frames_per_second,
    )
    return key, f"{PREFIX}_{key_id}_{secret}"


def slow_hash(secret: str, salt: bytes) -> bytes:
    """Return what is kept of a secret; costs 16 MiB and some 50 ms."""
    return hashlib.scrypt(secret.encode(), salt=salt, **_SCRYPT)


def has_expired(key: ApiKey) -> bool:
    """Whether a key's time is over, by this machine's clock."""
    return key.expires is not None and key.expires <= datetime.now(UTC)
