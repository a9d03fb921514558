import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from serving.controlplane.archives import ArchiveStore
from serving.controlplane.draining import Drains
from serving.controlplane.gone import Silence
from serving.controlplane.settlement import Settlement
from serving.errors import ReleaseBusy
from serving.store.store import Store, open_store
from serving.store.values import Arm, Release, ReleaseKey, ReleaseState, Route

KEY = ReleaseKey(model="student", version="1.0")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite+aiosqlite:///{tmp_path / 'store'}") as opened:
        await opened.put_release(
            Release(
                key=KEY,
                sha256="0" * 64,
                role="student",
                class_names=("person",),
                operating_thresholds=(0.5,),
                quality_measured=True,
                state=ReleaseState.READY,
                created=NOON,
                updated=NOON,
            )
        )
        yield opened


@pytest_asyncio.fixture
async def settlement(store: Store, tmp_path: Path) -> AsyncIterator[Settlement]:
    archives = ArchiveStore(tmp_path, model_store=tmp_path, trusted_keys=[])
    drains = Drains(store, [], archives, asyncio.Lock(), Silence())
    yield Settlement(store, drains, asyncio.Lock())
    await drains.settled()


async def test_what_a_route_names_is_not_retired_though_not_settled_yet(
    store: Store, settlement: Settlement
) -> None:
    # A controller that ends here leaves the release ready, and gateways send to it.
    arm = Arm(name="student", release=KEY, weight=100)
    await store.put_route(Route(arms=(arm,)), who="ann", why="")

    with pytest.raises(ReleaseBusy, match="is live"):
        await settlement.retire(KEY, who="ann", why="")

    release = await store.release(KEY)
    assert release is not None
    assert release.state is ReleaseState.READY


async def test_what_no_route_names_is_retired(store: Store, settlement: Settlement) -> None:
    retiring = await settlement.retire(KEY, who="ann", why="old")

    assert (retiring.state, retiring.reason) == (ReleaseState.DRAINING, "old")
