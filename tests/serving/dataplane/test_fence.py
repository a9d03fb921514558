import asyncio

import pytest

from serving.dataplane.deadline import Deadline
from serving.dataplane.fence import Fence
from serving.dataplane.heartbeat import Heartbeat
from serving.dataplane.watcher import RouteWatcher
from serving.errors import BackendUnavailable
from serving.store.desired import Desired


class Neighbour:
    """A store that counts what is asked, and may be out of reach."""

    def __init__(self) -> None:
        self.broken = False
        self.asked: list[str] = []

    def _ask(self, what: str) -> None:
        if self.broken:
            raise ConnectionError
        self.asked.append(what)

    async def heartbeat(self, gateway_id: str, revision: int, in_flight: dict[str, int]) -> int:
        self._ask("heartbeat")
        return 3

    async def generation(self) -> int:
        return 1

    async def desired(self) -> Desired:
        self._ask("desired")
        return Desired(1, {}, (), {})


def fenced(store: Neighbour, *, lease_s: float) -> tuple[Fence, Heartbeat]:
    heartbeat = Heartbeat(store, "gateway-1", lambda: (0, {}), lease_s=lease_s)
    return Fence(heartbeat, RouteWatcher(store, lambda table: None)), heartbeat


async def test_while_the_lease_holds_nothing_is_asked() -> None:
    store = Neighbour()
    fence, heartbeat = fenced(store, lease_s=60)

    await asyncio.gather(*[fence.hold() for _ in range(10)])

    assert store.asked == ["heartbeat", "desired"]
    assert heartbeat.live_gateways == 3


async def test_after_a_gap_a_beat_alone_does_not_open_it() -> None:
    store = Neighbour()
    fence, heartbeat = fenced(store, lease_s=0.05)
    await fence.hold()
    await asyncio.sleep(0.06)

    lapsed = fence.is_open()
    await heartbeat.beat()
    beaten = fence.is_open()
    await fence.hold()

    assert not lapsed
    assert not beaten
    assert fence.is_open()
    # The route was read anew.
    assert store.asked.count("desired") == 2


async def test_without_the_store_nothing_may_be_sent() -> None:
    store = Neighbour()
    fence, _ = fenced(store, lease_s=0.05)
    store.broken = True

    for _ in range(3):
        with pytest.raises(BackendUnavailable, match="lost touch with the store") as refused:
            await fence.hold()

    assert refused.value.refused
    assert refused.value.retry_after_s


async def test_a_frame_does_not_wait_for_a_silent_store_beyond_its_deadline() -> None:
    class Silent(Neighbour):
        async def heartbeat(self, gateway_id: str, revision: int, in_flight: dict[str, int]) -> int:
            await asyncio.Event().wait()
            return 1

    fence, _ = fenced(Silent(), lease_s=60)

    async with asyncio.timeout(1):
        with pytest.raises(BackendUnavailable, match="lost touch with the store"):
            await fence.hold(Deadline.after(0.02))


async def test_at_the_start_the_store_is_asked_once_and_has_its_time() -> None:
    store = Neighbour()
    fence, _ = fenced(store, lease_s=60)

    await fence.begin()
    await fence.hold()

    assert store.asked == ["heartbeat", "desired"]
    store.broken = True
    with pytest.raises(BackendUnavailable, match="lost touch with the store"):
        await fenced(store, lease_s=60)[0].begin()
