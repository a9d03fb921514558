"""Who leads, with a real store and no TorchServe."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from serving.controlplane.archives import ArchiveStore
from serving.controlplane.controller import Controller
from serving.controlplane.leadership import Leadership, may_act
from serving.errors import BackendUnavailable, LeaseLost, UnknownRoute
from serving.store.store import Store

TTL_S = 1.0


@asynccontextmanager
async def controller(store: Store, folder: Path, holder: str) -> AsyncIterator[Controller]:
    archives = ArchiveStore(folder / "archives", model_store=folder, trusted_keys=[])
    async with Controller(store, archives, [], holder=holder, lease_ttl_s=TTL_S) as opened:
        yield opened


async def leads(one: Controller) -> None:
    async with asyncio.timeout(10):
        while not one.leads:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.02)


async def test_one_leads_and_the_other_names_it(store: Store, tmp_path: Path) -> None:
    async with (
        controller(store, tmp_path, "here") as first,
        controller(store, tmp_path, "there") as second,
    ):
        assert first.leads
        assert not second.leads
        with pytest.raises(BackendUnavailable, match="controller 'here' leads, not this one"):
            await second.promote("default", "student", who="ann", why="")
        with pytest.raises(BackendUnavailable):
            assert second.store


async def test_who_leaves_hands_over(store: Store, tmp_path: Path) -> None:
    async with controller(store, tmp_path, "there") as first:
        async with controller(store, tmp_path, "here") as second:
            assert not second.leads
            await first.__aexit__(None, None, None)

            await leads(second)

            with pytest.raises(UnknownRoute):
                await second.promote("default", "student", who="ann", why="")
        won = [one.subject for one in await store.audit_log() if one.action == "leader.won"]
        assert won == ["here", "there"]


async def test_a_new_process_of_the_same_name_takes_over_at_once_and_for_good(
    store: Store, tmp_path: Path
) -> None:
    async with controller(store, tmp_path, "here") as first:
        fenced = first.store

        async with controller(store, tmp_path, "here") as second:
            assert second.leads
            with pytest.raises(LeaseLost):
                await fenced.audit("controller", "late", "", "")
            await asyncio.sleep(2 * TTL_S)  # the first one competes again, and must not win

            assert second.leads
            assert not first.leads
        await leads(first)


async def test_a_lost_lease_is_found_out_before_the_act(store: Store) -> None:
    claim = await Leadership(store, "here").try_acquire()
    assert claim is not None
    await claim.confirm()
    assert await Leadership(store, "there").try_acquire() is None

    assert await Leadership(store, "here").try_acquire() is not None

    with pytest.raises(LeaseLost):
        await claim.confirm()
    with pytest.raises(LeaseLost):
        await claim.keep()


def test_an_act_must_follow_its_renewal_soon() -> None:
    assert may_act(10.0, 12.9, 6.0)
    assert not may_act(10.0, 13.0, 6.0)
