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
from serving.torchserve.backend import Backend
from serving.torchserve.inference import InferenceClient
from serving.torchserve.management import ManagementClient
from serving.torchserve.tokens import Token

TTL_S = 1.0


@asynccontextmanager
async def controller(store: Store, folder: Path, holder: str) -> AsyncIterator[Controller]:
    archives = ArchiveStore(folder / "archives", model_store=folder, trusted_keys=[])
    async with Controller(store, archives, [], holder=holder, lease_ttl_s=TTL_S) as opened:
        await opened.taken_up()
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


async def test_operators_need_not_wait_for_a_backend_that_hangs(
    store: Store, tmp_path: Path
) -> None:
    archives = ArchiveStore(tmp_path / "archives", model_store=tmp_path, trusted_keys=[])
    async with (
        hanging(tmp_path) as backend,
        Controller(store, archives, [backend], holder="here") as opened,
    ):
        await leads(opened)

        with pytest.raises(UnknownRoute):
            await opened.rollback("default", who="ann")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(opened.taken_up(), 0.1)


@asynccontextmanager
async def hanging(folder: Path) -> AsyncIterator[Backend]:
    """A TorchServe whose management accepts calls and answers none."""
    tokens = folder / "tokens.json"
    tokens.write_text('{"management": {"key": "m"}, "inference": {"key": "i"}}')
    closed = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        closed.set()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        async with (
            InferenceClient(url, Token(tokens, "inference")) as inference,
            ManagementClient(url, Token(tokens, "management")) as management,
        ):
            yield Backend("east", inference, management)
        await closed.wait()


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
