"""The admin API's calls on API keys: scope admin, and each leaves a line in the audit log."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from serving.access.keys import mint
from serving.access.rotation import rotate
from serving.api.admin_models import Message
from serving.store.store import Store
from serving.store.values import ApiKey, Number, Scope, Whole

Caller = Callable[[Request], Awaitable[ApiKey]]
FramesPerSecond = Annotated[Number | None, Field(gt=0, le=100_000)]


class KeyRequest(Message):
    """A key to make."""

    name: str = Field(min_length=1, max_length=100, examples=["gate camera 3"])
    scope: Scope = Scope.DETECT
    expires_in_days: Whole | None = Field(default=None, ge=1, le=3650)
    frames_per_second: FramesPerSecond = None


class LimitRequest(Message):
    """What a key's holders may have answered from now on."""

    frames_per_second: FramesPerSecond = Field(description="of each gateway process; null: all")


class RotateRequest(Message):
    """How long the text that is known until now is good still."""

    grace_s: Number = Field(default=24 * 3600.0, ge=0, le=90 * 86_400)


class KeyInfo(Message):
    """A key, without its secret."""

    id: str
    name: str
    scope: Scope
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    frames_per_second: float | None

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        """Return what is told of a key."""
        return cls(**key.model_dump(exclude={"salt", "hash"}))


class NewKey(KeyInfo):
    """A key that was just made; its text is told here and never again."""

    key: str


class RotatedKey(NewKey):
    """A key that takes another's place."""

    replaced: KeyInfo = Field(description="the one before; it ends at `expires`")


def keys_router(store: Store, admin: Caller, admin_key_file: Path | None) -> APIRouter:
    """Return the routes below /keys.

    Args:
        store: Where keys are kept.
        admin: Yields the caller's key, of scope admin.
        admin_key_file: Where the first start wrote a key; it follows that key's rotation.
    """
    router = APIRouter(prefix="/keys", tags=["keys"])

    @router.get("")
    async def list_keys(_: Annotated[ApiKey, Depends(admin)]) -> list[KeyInfo]:
        """Every key, revoked ones too, without the secrets."""
        return [KeyInfo.of(key) for key in await store.keys()]

    @router.post("", status_code=HTTPStatus.CREATED)
    async def create_key(wanted: KeyRequest, caller: Annotated[ApiKey, Depends(admin)]) -> NewKey:
        """Make a key; its text is in this answer and nowhere else."""
        days = wanted.expires_in_days
        expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
        key, text = mint(
            wanted.name,
            wanted.scope,
            expires=expires,
            frames_per_second=wanted.frames_per_second,
        )
        await store.add_key(key)
        detail = f"{key.name}, scope {key.scope}, {_limit(key)}"
        await store.audit(caller.name, "key.create", key.id, detail)
        return NewKey(**KeyInfo.of(key).model_dump(), key=text)

    @router.patch("/{key_id}")
    async def limit_key(
        key_id: str, wanted: LimitRequest, caller: Annotated[ApiKey, Depends(admin)]
    ) -> KeyInfo:
        """Let a key's holders have so many frames a second answered; holds within a second."""
        key = await store.limit_key(key_id, wanted.frames_per_second)
        await store.audit(caller.name, "key.limit", key.id, f"{key.name}, {_limit(key)}")
        return KeyInfo.of(key)

    @router.post("/{key_id}/rotate", status_code=HTTPStatus.CREATED)
    async def rotate_key(
        key_id: str, wanted: RotateRequest, caller: Annotated[ApiKey, Depends(admin)]
    ) -> RotatedKey:
        """Make a key's successor; the text that was known until now ends after the grace."""
        grace = timedelta(seconds=wanted.grace_s)
        new, text, old = await rotate(store, key_id, grace, admin_key_file)
        ends = "" if old.expires is None else f", which ends {old.expires:%Y-%m-%d %H:%M:%S} UTC"
        detail = f"{new.name}, in place of {old.id}{ends}"
        await store.audit(caller.name, "key.rotate", new.id, detail)
        replaced = KeyInfo.of(old)
        return RotatedKey(**KeyInfo.of(new).model_dump(), key=text, replaced=replaced)

    @router.delete("/{key_id}")
    async def revoke_key(key_id: str, caller: Annotated[ApiKey, Depends(admin)]) -> KeyInfo:
        """Revoke a key; it takes effect within a second."""
        key = await store.revoke_key(key_id)
        await store.audit(caller.name, "key.revoke", key.id, key.name)
        return KeyInfo.of(key)

    return router


def _limit(key: ApiKey) -> str:
    if key.frames_per_second is None:
        return "no limit"
    return f"{key.frames_per_second:g} frames a second"
