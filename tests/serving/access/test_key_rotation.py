import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving.access.admin_key import ensure_admin_key
from serving.access.authenticator import Authenticator
from serving.access.keys import mint
from serving.access.rotation import rotate
from serving.errors import InvalidField, Unauthenticated, UnknownKey
from serving.store.store import Store
from serving.store.values import ApiKey, Scope

DAY = timedelta(days=1)


async def test_both_texts_are_good_until_the_grace_is_over_and_then_the_new_one_alone(
    store: Store,
) -> None:
    old, old_text = mint("camera-wall", Scope.DETECT, frames_per_second=7)
    await store.add_key(old)
    authenticator = Authenticator(store, reread_after_s=0.0)

    new, new_text, ends = await rotate(store, old.id, DAY)
    both = [await authenticator.authenticate(one, Scope.DETECT) for one in (old_text, new_text)]
    await store.end_key(old.id, datetime.now(UTC))

    assert [one.id for one in both] == [old.id, new.id]
    assert (new.name, new.scope, new.frames_per_second) == ("camera-wall", Scope.DETECT, 7)
    assert new.expires is None
    assert ends.expires is not None
    assert timedelta(0) < ends.expires - datetime.now(UTC) <= DAY
    with pytest.raises(Unauthenticated, match="expired at"):
        await authenticator.authenticate(old_text, Scope.DETECT)
    await authenticator.authenticate(new_text, Scope.DETECT)


async def test_a_successor_lasts_as_long_again_and_the_grace_lengthens_no_life(
    store: Store,
) -> None:
    now = datetime.now(UTC)
    old, _ = mint("night-shift", Scope.OPERATE, expires=now + timedelta(hours=1))
    old = old.model_copy(update={"created": now - timedelta(days=89, hours=23)})
    await store.add_key(old)

    new, _, ends = await rotate(store, old.id, DAY)

    assert new.expires is not None
    assert abs(new.expires - now - timedelta(days=90)) < timedelta(minutes=1)
    assert ends.expires == old.expires


async def test_a_key_that_is_over_or_unknown_has_no_successor(store: Store) -> None:
    revoked, _ = mint("a", Scope.DETECT)
    ended, _ = mint("b", Scope.DETECT, expires=datetime.now(UTC) - DAY)
    for key in (revoked, ended):
        await store.add_key(key)
    await store.revoke_key(revoked.id)

    for key_id in (revoked.id, ended.id):
        with pytest.raises(InvalidField, match="is over: make another"):
            await rotate(store, key_id, DAY)
    with pytest.raises(UnknownKey):
        await rotate(store, "0123456789ab", DAY)
    assert len(await store.keys()) == 2


async def test_the_admin_key_s_file_follows_its_rotation_and_no_other_key_s(
    store: Store, tmp_path: Path
) -> None:
    file = await ensure_admin_key(store, tmp_path)
    before = file.read_text().strip()
    other, _ = mint("another admin", Scope.ADMIN)
    await store.add_key(other)

    await rotate(store, other.id, DAY, file)
    untouched = file.read_text().strip()
    _, text, _ = await rotate(store, before.split("_")[1], timedelta(0), file)

    assert untouched == before
    assert file.read_text() == f"{text}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    authenticator = Authenticator(store)
    await authenticator.authenticate(text, Scope.ADMIN)
    with pytest.raises(Unauthenticated, match="expired at"):
        await authenticator.authenticate(before, Scope.ADMIN)
    # The next start finds a good admin key and makes none.
    keys = len(await store.keys())
    assert await ensure_admin_key(store, tmp_path) == file
    assert len(await store.keys()) == keys


async def test_an_admin_key_s_file_that_was_moved_away_is_not_made_again(
    store: Store, tmp_path: Path
) -> None:
    file = await ensure_admin_key(store, tmp_path)
    key_id = file.read_text().split("_")[1]
    file.unlink()

    await rotate(store, key_id, DAY, file)

    assert not file.exists()


class Interrupted(Exception):
    """The power goes."""


class CutOff:
    """A store whose power goes before a key ends."""

    def __init__(self, store: Store) -> None:
        self.add_key, self.key, self.keys = store.add_key, store.key, store.keys

    async def end_key(self, _key_id: str, _at: datetime) -> ApiKey:
        raise Interrupted


async def test_whenever_it_is_cut_off_what_the_file_holds_is_good(
    store: Store, tmp_path: Path
) -> None:
    file = await ensure_admin_key(store, tmp_path)
    before = file.read_text().strip()

    with pytest.raises(Interrupted):
        await rotate(CutOff(store), before.split("_")[1], timedelta(0), file)

    authenticator = Authenticator(store)
    after = file.read_text().strip()
    assert after != before
    for text in (before, after):
        await authenticator.authenticate(text, Scope.ADMIN)
