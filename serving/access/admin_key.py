"""The admin key that the first start writes: without one nobody could make the others."""

import asyncio
from pathlib import Path

from serving.access.keys import KeyStore, has_expired, mint
from serving.store.values import Scope
from serving.whole_file import write_whole

ADMIN_KEY_FILE = "admin.key"


async def ensure_admin_key(store: KeyStore, state_dir: Path) -> Path:
    """Write an admin key on the first start, and whenever nobody holds one that is good.

    Returns:
        Where the admin key is (or was, if the operator has moved it away since).
    """
    path = state_dir / ADMIN_KEY_FILE
    admins = [key for key in await store.keys() if key.scope is Scope.ADMIN]
    if any(key.revoked is None and not has_expired(key) for key in admins):
        return path
    key, text = mint("admin", Scope.ADMIN)
    # The file first: a crash in between leaves a key nothing knows; the next start mends it.
    await asyncio.to_thread(state_dir.mkdir, mode=0o700, parents=True, exist_ok=True)
    await asyncio.to_thread(write_whole, path, text + "\n", mode=0o600)
    await store.add_key(key)
    return path
