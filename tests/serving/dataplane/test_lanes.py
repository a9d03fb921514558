import asyncio
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from serving.dataplane.admission import Lane
from serving.dataplane.deadline import Deadline
from serving.dataplane.lanes import Lanes
from serving.store.values import Release, ReleaseKey, ReleaseState

KEY = ReleaseKey(model="yolo", version="1.0")


def release(batch_size: int) -> Release:
    now = datetime.now(UTC)
    return Release(
        key=KEY,
        sha256="0" * 64,
        role="teacher",
        class_names=("cell",),
        operating_thresholds=(0.25,),
        quality_measured=False,
        state=ReleaseState.LIVE,
        batch_size=batch_size,
        created=now,
        updated=now,
    )


@given(
    workers=st.lists(st.integers(0, 8), max_size=4),
    batch_size=st.integers(1, 32),
    gateways=st.integers(1, 10),
)
def test_gateways_share_what_the_workers_hold_and_no_backend_s_queue_overflows(
    workers: list[int], batch_size: int, gateways: int
) -> None:
    lanes = Lanes(
        waiting_room=0,
        ready_workers=lambda key: workers,
        live_gateways=lambda: gateways,
        backend_queue=100,
    )

    places = lanes.of(release(batch_size)).places

    total = 2 * sum(workers) * batch_size
    assert places == max(1, sum(min(2 * n * batch_size, 100) for n in workers) // gateways)
    assert places == 1 or places * gateways <= total


async def test_another_gateway_takes_places_and_cancels_nothing() -> None:
    gateways = 1
    lanes = Lanes(
        waiting_room=1,
        ready_workers=lambda key: [1],
        live_gateways=lambda: gateways,
        backend_queue=1000,
    )
    lane = lanes.of(release(4))
    for _ in range(8):
        await lane.enter(Deadline.after(5))

    gateways = 2
    waiting = asyncio.create_task(lanes.of(release(4)).enter(Deadline.after(5)))
    await asyncio.sleep(0)

    assert (lane.places, lane.taken, lane.waiting) == (4, 8, 1)
    for _ in range(4):
        lane.leave()
    assert lane.waiting == 1
    lane.leave()
    await waiting
    assert (lane.taken, lane.waiting) == (4, 0)


@given(
    places=st.integers(1, 40),
    taken=st.integers(0, 40),
    spare=st.sampled_from([0.0, 0.2, 0.5, 1.0]),
)
def test_who_tries_takes_no_place_beyond_the_spare_ones(
    places: int, taken: int, spare: float
) -> None:
    lane = Lane("yolo-1.0", places=places, waiting_room=0)
    for _ in range(min(taken, places)):
        lane.try_enter()
    before = lane.taken

    entered = lane.try_enter(spare)

    assert lane.taken == before + entered
    if entered:
        assert lane.taken == 1 or places - lane.taken >= spare * places - 1e-6
    else:
        assert before
        assert places - before - 1 < spare * places


async def test_who_tries_does_not_overtake_those_who_wait() -> None:
    lane = Lane("yolo-1.0", places=1, waiting_room=2)
    await lane.enter(Deadline.after(5))
    waiting = [asyncio.create_task(lane.enter(Deadline.after(5))) for _ in range(2)]
    await asyncio.sleep(0)
    lane.resize(1)

    assert not lane.try_enter()

    for _ in range(3):
        lane.leave()
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert lane.try_enter()
