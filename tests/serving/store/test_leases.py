import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from serving.errors import LeaseLost
from serving.store import leases as queries
from serving.store import tables
from serving.store.engine import create_engine
from serving.store.store import Store, open_store
from serving.store.values import Lease, ReleaseKey

TTL_S = 60.0
KEY = ReleaseKey(model="student", version="1.0")


async def expire(url: str) -> None:
    """Let the lease's time pass."""
    engine = create_engine(url)
    past = tables.leases.c.expires
    async with engine.begin() as connection:
        found = await queries.current(connection)
        assert found is not None
        gone = found.expires - timedelta(seconds=2 * TTL_S)
        await connection.execute(update(tables.leases).values({past: gone}))
    await engine.dispose()


async def test_one_holds_the_lease_until_it_lets_go(store: Store, other: Store) -> None:
    before = await store.now()
    first = await store.acquire_lease("a", TTL_S)
    assert first is not None
    assert (first.holder, first.epoch) == ("a", 1)
    assert first.expires >= before + timedelta(seconds=TTL_S)
    assert await other.acquire_lease("b", TTL_S) is None

    await store.release_lease(first)

    second = await other.acquire_lease("b", TTL_S)
    assert second is not None
    assert second.epoch == 2


async def test_a_holder_that_asks_again_gets_the_next_epoch(store: Store) -> None:
    first = await store.acquire_lease("a", TTL_S)
    again = await store.acquire_lease("a", TTL_S)

    assert first is not None
    assert again is not None
    assert again.epoch == first.epoch + 1
    with pytest.raises(LeaseLost):
        await store.renew_lease(first, TTL_S)


async def test_a_renewal_keeps_the_epoch_and_moves_the_end(store: Store) -> None:
    lease = await store.acquire_lease("a", TTL_S)
    assert lease is not None

    renewed = await store.renew_lease(lease, 2 * TTL_S)

    assert (renewed.holder, renewed.epoch) == ("a", lease.epoch)
    assert renewed.expires > lease.expires
    assert await store.lease() == renewed


async def test_what_has_expired_is_lost_and_free(store: Store, store_url: str) -> None:
    lease = await store.acquire_lease("a", TTL_S)
    assert lease is not None
    await expire(store_url)

    with pytest.raises(LeaseLost, match="ended unrenewed"):
        await store.renew_lease(lease, TTL_S)
    with pytest.raises(LeaseLost):
        await store.fenced(lease.epoch).audit("a", "test", "", "")
    taken = await store.acquire_lease("b", TTL_S)
    assert taken is not None
    assert (taken.holder, taken.epoch) == ("b", 2)


async def test_a_lease_of_another_is_not_released(store: Store) -> None:
    mine = await store.acquire_lease("a", TTL_S)
    assert mine is not None

    await store.release_lease(Lease(holder="b", epoch=mine.epoch, expires=mine.expires))
    await store.release_lease(Lease(holder="a", epoch=mine.epoch - 1, expires=mine.expires))

    assert await store.renew_lease(mine, TTL_S)


async def test_what_was_fenced_off_writes_nothing_and_asks_nothing(
    store: Store, other: Store
) -> None:
    lease = await store.acquire_lease("a", TTL_S)
    assert lease is not None
    fenced = store.fenced(lease.epoch)
    await fenced.audit("a", "test", "first", "")
    await fenced.put_placements("east", {KEY: 1})
    assert await fenced.holders(KEY, 1) == []
    await store.release_lease(lease)
    assert await other.acquire_lease("b", TTL_S) is not None

    for refused in (
        fenced.audit("a", "test", "second", ""),
        fenced.put_placements("east", {}),
        fenced.holders(KEY, 1),
    ):
        with pytest.raises(LeaseLost, match="another controller leads"):
            await refused

    assert [entry.subject for entry in await fenced.audit_log()] == ["first"]
    assert await other.placements() == {"east": {KEY: 1}}


async def test_without_any_lease_a_fence_lets_nothing_through(store: Store) -> None:
    with pytest.raises(LeaseLost):
        await store.fenced(1).audit("a", "test", "", "")


async def test_of_many_who_ask_at_once_one_gets_it(store: Store, other: Store) -> None:
    asked = [
        opened.acquire_lease(f"{name}-{number}", TTL_S)
        for number in range(10)
        for name, opened in (("a", store), ("b", other))
    ]

    got = [lease for lease in await asyncio.gather(*asked) if lease is not None]

    assert len(got) == 1
    assert got[0].epoch == 1


@asynccontextmanager
async def two_stores() -> AsyncIterator[tuple[str, Store, Store]]:
    with TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{Path(folder) / 'store'}"
        async with open_store(url) as one, open_store(url) as other:
            yield url, one, other


STEPS = st.lists(
    st.tuples(st.sampled_from(["acquire", "renew", "release", "write", "expire"]), st.booleans()),
    max_size=25,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_an_epoch_has_one_holder_and_only_who_holds_it_writes(
    steps: list[tuple[str, bool]],
) -> None:
    asyncio.run(_follow(steps))


async def _follow(steps: list[tuple[str, bool]]) -> None:
    async with two_stores() as (url, one, other):
        stores = {"a": one, "b": other}
        known: dict[str, Lease] = {}
        holder: str | None = None
        epochs: list[int] = []
        for step, second in steps:
            name = "b" if second else "a"
            store = stores[name]
            if step == "acquire":
                lease = await store.acquire_lease(name, TTL_S)
                assert (lease is not None) == (holder in {None, name})
                if lease is not None:
                    known[name], holder = lease, name
                    epochs.append(lease.epoch)
            elif step == "expire":
                if epochs:
                    await expire(url)
                    holder = None
            elif name in known:
                holder = await _used(step, store, known[name], holder)
        assert epochs == sorted(set(epochs))


async def _used(step: str, store: Store, lease: Lease, holder: str | None) -> str | None:
    """Do something with a lease that may be lost, check that it fits, return who holds it then."""
    if step == "release":
        await store.release_lease(lease)
        return None if holder == lease.holder else holder
    before = await store.audit_log(1000)
    try:
        if step == "renew":
            await store.renew_lease(lease, TTL_S)
        else:
            await store.fenced(lease.epoch).audit(lease.holder, "test", str(lease.epoch), "")
    except LeaseLost:
        assert holder != lease.holder
        assert await store.audit_log(1000) == before
    else:
        assert holder == lease.holder
    return holder
