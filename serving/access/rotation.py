"""A key's successor: another secret for the same holder, while the one before ends."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from serving.access.keys import PREFIX, KeyStore, mint
from serving.errors import InvalidField, UnknownKey
from serving.store.values import ApiKey
from serving.whole_file import write_whole


class RotationStore(KeyStore, Protocol):
    """What a rotation needs of the store."""

    async def end_key(self, key_id: str, at: datetime) -> ApiKey:
        """Have a key end at a time, UTC, if it does not end before."""


async def rotate(
    store: RotationStore, key_id: str, grace: timedelta, admin_key_file: Path | None = None
) -> tuple[ApiKey, str, ApiKey]:
    """Make a key of the same name, scope and limit, and have the one before end.

    One that ends some day gets a successor that lasts as long again. Whenever this is cut off, one
    of the two is good, and so is what the file holds.

    Args:
        store: Where keys are kept.
        key_id: Of the one before.
        grace: How long it is good still.
        admin_key_file: Gets the successor's text where it holds the one before; None: there is no
            such file.

    Returns:
        The successor, its text, and the one before as it is now.

    Raises:
        UnknownKey: No key has this id.
        InvalidField: It has ended or was revoked.
    """
    old, now = await store.key(key_id), datetime.now(UTC)
    if old is None:
        raise UnknownKey("id", f"id: no key {key_id!r}; `understudy key list` shows them all")
    if old.revoked is not None or (old.expires is not None and old.expires <= now):
        raise InvalidField(
            "id",
            f"id: the key {key_id} ({old.name}) is over: make another, `understudy key create`",
        )
    lasts = None if old.expires is None else old.expires - old.created
    new, text = mint(
        old.name,
        old.scope,
        expires=None if lasts is None else now + lasts,
        frames_per_second=old.frames_per_second,
    )
    await store.add_key(new)
    if admin_key_file is not None:
        await asyncio.to_thread(_replace, admin_key_file, old.id, text)
    return new, text, await store.end_key(old.id, now + grace)


def _replace(file: Path, key_id: str, text: str) -> None:
    """Write a key's text into a file that holds the one with this id."""
    try:
        held = file.read_text(encoding="utf-8")
    except OSError:
        return  # whoever moved it away keeps it elsewhere
    if held.startswith(f"{PREFIX}_{key_id}_"):
        write_whole(file, f"{text}\n", mode=0o600)
