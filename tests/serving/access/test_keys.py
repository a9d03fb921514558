import asyncio
import stat
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving.access.admin_key import ensure_admin_key
from serving.access.authenticator import Authenticator
from serving.access.keys import mint
from serving.errors import PermissionDenied, Unauthenticated
from serving.store.store import Store, open_store
from serving.store.values import ApiKey, Scope


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite+aiosqlite:///{tmp_path}/store.sqlite3") as opened:
        yield opened


async def add(store: Store, scope: Scope = Scope.DETECT, **options: datetime) -> tuple[str, str]:
    key, text = mint("camera-wall", scope, **options)
    await store.add_key(key)
    return key.id, text


async def test_a_key_that_was_minted_is_known(store: Store) -> None:
    id_, text = await add(store)

    key = await Authenticator(store).authenticate(text, Scope.DETECT)

    assert (key.id, key.name) == (id_, "camera-wall")


def test_the_store_s_part_does_not_hold_the_secret() -> None:
    key, text = mint("a", Scope.DETECT)

    secret = text.split("_", 2)[2]
    assert secret not in repr(key.model_dump())
    assert len(secret) >= 40


@pytest.mark.parametrize(
    ("presented", "says"),
    [
        (None, "no API key"),
        ("", "no API key"),
        ("hunter2", "does not read us_ID_SECRET"),
        ("us_only", "does not read us_ID_SECRET"),
        ("us_0123456789ab_secret", "not one of ours"),
    ],
)
async def test_a_key_that_is_none_is_refused(
    store: Store, presented: str | None, says: str
) -> None:
    with pytest.raises(Unauthenticated, match=says):
        await Authenticator(store).authenticate(presented, Scope.DETECT)


async def test_the_right_id_with_a_wrong_secret_is_refused(store: Store) -> None:
    id_, text = await add(store)
    authenticator = Authenticator(store)
    await authenticator.authenticate(text, Scope.DETECT)

    with pytest.raises(Unauthenticated, match="not one of ours"):
        await authenticator.authenticate(f"us_{id_}_wrong", Scope.DETECT)


async def test_a_scope_reaches_only_so_far(store: Store) -> None:
    _, text = await add(store, Scope.OPERATE)
    authenticator = Authenticator(store)

    await authenticator.authenticate(text, Scope.DETECT)
    await authenticator.authenticate(text, Scope.OPERATE)
    with pytest.raises(PermissionDenied, match="has scope operate; this needs admin"):
        await authenticator.authenticate(text, Scope.ADMIN)


async def test_a_revoked_key_is_refused_within_a_second(store: Store) -> None:
    id_, text = await add(store)
    authenticator = Authenticator(store)
    await authenticator.authenticate(text, Scope.DETECT)

    await store.revoke_key(id_)

    async def refused() -> None:
        while True:
            await authenticator.authenticate(text, Scope.DETECT)
            await asyncio.sleep(0.01)

    async with asyncio.timeout(1.0):
        with pytest.raises(Unauthenticated, match="was revoked at"):
            await refused()


async def test_a_key_revoked_while_its_first_use_waits_for_the_hash_is_refused(
    store: Store,
) -> None:
    id_, text = await add(store)
    authenticator = Authenticator(store)
    guesses = [
        asyncio.create_task(authenticator.authenticate(f"us_{id_}_guess-{n}", Scope.DETECT))
        for n in range(8)
    ]
    await asyncio.wait(guesses, return_when=asyncio.FIRST_COMPLETED)  # the queue stands by now
    first_use = asyncio.create_task(authenticator.authenticate(text, Scope.DETECT))

    await store.revoke_key(id_)

    with pytest.raises(Unauthenticated, match="was revoked at"):
        await first_use
    await asyncio.wait(guesses)
    assert all(isinstance(guess.exception(), Unauthenticated) for guess in guesses)


async def test_an_expired_key_is_refused(store: Store) -> None:
    _, text = await add(store, expires=datetime.now(UTC) - timedelta(seconds=1))

    with pytest.raises(Unauthenticated, match="expired at"):
        await Authenticator(store).authenticate(text, Scope.DETECT)


async def test_a_known_key_pays_the_slow_hash_once(store: Store) -> None:
    _, text = await add(store)
    authenticator = Authenticator(store)
    loop = asyncio.get_running_loop()
    started = loop.time()
    await authenticator.authenticate(text, Scope.DETECT)
    first_s = loop.time() - started

    started = loop.time()
    for _ in range(100):
        await authenticator.authenticate(text, Scope.DETECT)

    assert loop.time() - started < first_s * 10


async def test_without_authentication_everyone_is_admin(store: Store) -> None:
    key = await Authenticator(store, enabled=False).authenticate(None, Scope.ADMIN)

    assert key.name == "anonymous"


async def test_the_first_start_writes_a_private_admin_key(store: Store, tmp_path: Path) -> None:
    path = await ensure_admin_key(store, tmp_path / "state")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = await Authenticator(store).authenticate(path.read_text().strip(), Scope.ADMIN)
    assert key.scope is Scope.ADMIN
    assert [found.name for found in path.parent.iterdir()] == ["admin.key"]


async def test_the_second_start_leaves_the_key_alone(store: Store, tmp_path: Path) -> None:
    path = await ensure_admin_key(store, tmp_path)
    before = path.read_text()

    await ensure_admin_key(store, tmp_path)

    assert path.read_text() == before
    assert len(await store.keys()) == 1


async def test_a_start_without_a_good_admin_key_writes_another(
    store: Store, tmp_path: Path
) -> None:
    await add(store, Scope.ADMIN, expires=datetime.now(UTC) - timedelta(seconds=1))

    path = await ensure_admin_key(store, tmp_path)

    await Authenticator(store).authenticate(path.read_text().strip(), Scope.ADMIN)


async def test_a_key_file_of_a_lost_store_is_replaced(store: Store, tmp_path: Path) -> None:
    (tmp_path / "admin.key").write_text("us_old_key\n")

    path = await ensure_admin_key(store, tmp_path)

    await Authenticator(store).authenticate(path.read_text().strip(), Scope.ADMIN)


class Breakable:
    """A store of one key that can stop answering."""

    def __init__(self, key: ApiKey) -> None:
        self.kept = key
        self.answers = True
        self.asked = 0

    async def add_key(self, key: ApiKey) -> None:
        self.kept = key

    async def keys(self) -> Sequence[ApiKey]:
        return (self.kept,)

    async def key(self, key_id: str) -> ApiKey | None:
        self.asked += 1
        if not self.answers:
            raise OSError("connection refused")
        return self.kept if key_id == self.kept.id else None


async def test_a_known_key_outlives_a_store_that_does_not_answer_for_a_while() -> None:
    key, text = mint("camera-wall", Scope.DETECT)
    store = Breakable(key)
    authenticator = Authenticator(store, reread_after_s=0.0)
    await authenticator.authenticate(text, Scope.DETECT)

    store.answers = False
    trusted = await authenticator.authenticate(text, Scope.DETECT)
    store.answers, store.kept = True, key.model_copy(update={"revoked": key.created})

    assert trusted.id == key.id
    with pytest.raises(Unauthenticated, match="was revoked"):
        await authenticator.authenticate(text, Scope.DETECT)


async def test_no_key_outlives_it_for_ever_and_none_that_was_not_known() -> None:
    key, text = mint("camera-wall", Scope.DETECT)
    store = Breakable(key)
    strict = Authenticator(store, reread_after_s=0.0, trusted_s=0.0)
    await strict.authenticate(text, Scope.DETECT)

    store.answers = False

    for authenticator in (strict, Authenticator(store)):
        with pytest.raises(OSError, match="refused"):
            await authenticator.authenticate(text, Scope.DETECT)


async def test_a_store_that_does_not_answer_is_not_asked_for_each_frame() -> None:
    key, text = mint("camera-wall", Scope.DETECT)
    store = Breakable(key)
    authenticator = Authenticator(store, reread_after_s=0.3)
    await authenticator.authenticate(text, Scope.DETECT)
    await asyncio.sleep(0.31)

    store.answers, store.asked = False, 0
    for _ in range(5):
        await authenticator.authenticate(text, Scope.DETECT)

    assert store.asked == 1


class Hanging(Breakable):
    """A store that neither answers nor refuses, and cannot be cancelled in time."""

    def __init__(self, key: ApiKey) -> None:
        super().__init__(key)
        self.let = asyncio.Event()
        self.let.set()

    async def key(self, key_id: str) -> ApiKey | None:
        found = await super().key(key_id)
        await self.let.wait()
        return found


async def test_frames_wait_once_for_a_store_whose_host_is_gone() -> None:
    key, text = mint("camera", Scope.DETECT)
    hangs = Hanging(key)
    authenticator = Authenticator(hangs, reread_after_s=0)
    await authenticator.authenticate(text, Scope.DETECT)
    hangs.let.clear()

    for _ in range(20):
        assert (await authenticator.authenticate(text, Scope.DETECT)).id == key.id

    assert hangs.asked == 3  # twice when it was first presented
    hangs.let.set()
