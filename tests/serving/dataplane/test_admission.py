import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.dataplane.admission import Lane
from serving.dataplane.deadline import Deadline
from serving.errors import DeadlineExceeded, Overloaded

LATER = 5.0


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_free_place_is_taken_at_once() -> None:
    lane = Lane("yolo-1.0", places=2, waiting_room=0)

    await lane.enter(Deadline.after(LATER))
    await lane.enter(Deadline.after(LATER))

    assert (lane.taken, lane.waiting) == (2, 0)


async def test_a_full_lane_turns_away_with_a_hint() -> None:
    lane = Lane("yolo-1.0", places=1, waiting_room=0)
    await lane.enter(Deadline.after(LATER))

    with pytest.raises(Overloaded, match=r"yolo-1\.0 is full: 1 requests of 1 at work") as refused:
        await lane.enter(Deadline.after(LATER))

    assert refused.value.retry_after_s > 0


async def test_the_hint_follows_the_worker_s_pace() -> None:
    slow, quick = (Lane("m-1", places=1, waiting_room=0) for _ in range(2))
    for lane, service_s in ((slow, 3.0), (quick, 0.2)):
        for _ in range(50):
            await lane.enter(Deadline.after(LATER))
            lane.leave(service_s=service_s)
        await lane.enter(Deadline.after(LATER))

    assert slow.retry_after_s() == pytest.approx(3.0, rel=0.1)
    assert quick.retry_after_s() == pytest.approx(0.2, rel=0.1)


async def test_who_waits_is_called_in_order() -> None:
    lane = Lane("m-1", places=1, waiting_room=3)
    await lane.enter(Deadline.after(LATER))
    called: list[int] = []

    async def wait(n: int) -> None:
        await lane.enter(Deadline.after(LATER))
        called.append(n)

    waiting = [asyncio.create_task(wait(n)) for n in range(3)]
    await turns()
    for _ in range(3):
        lane.leave()
        await turns()
    await asyncio.gather(*waiting)

    assert called == [0, 1, 2]
    assert lane.taken == 1


async def test_waiting_ends_at_the_deadline_and_takes_nothing() -> None:
    lane = Lane("m-1", places=1, waiting_room=1)
    await lane.enter(Deadline.after(LATER))

    with pytest.raises(DeadlineExceeded, match="nothing was sent"):
        await lane.enter(Deadline.after(0.01))

    assert (lane.taken, lane.waiting) == (1, 0)


async def test_a_deadline_that_has_passed_takes_no_free_place() -> None:
    lane = Lane("m-1", places=1, waiting_room=1)

    with pytest.raises(DeadlineExceeded):
        await lane.enter(Deadline.after(-1))

    assert lane.taken == 0


async def test_a_place_granted_to_someone_who_leaves_goes_to_the_next() -> None:
    lane = Lane("m-1", places=1, waiting_room=2)
    await lane.enter(Deadline.after(LATER))
    first, second = (asyncio.create_task(lane.enter(Deadline.after(LATER))) for _ in range(2))
    await turns()

    lane.leave()  # grants the place to `first`...
    first.cancel()  # ...which leaves in the same moment
    await asyncio.wait([first])
    await second

    assert first.cancelled()
    assert (lane.taken, lane.waiting) == (1, 0)


async def test_more_places_call_more_of_those_who_wait() -> None:
    lane = Lane("m-1", places=1, waiting_room=2)
    await lane.enter(Deadline.after(LATER))
    waiting = [asyncio.create_task(lane.enter(Deadline.after(LATER))) for _ in range(2)]
    await turns()

    lane.resize(3)
    await asyncio.gather(*waiting)

    assert lane.taken == 3


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), places=st.integers(1, 4), waiting_room=st.integers(0, 6))
def test_no_interleaving_loses_a_place_or_takes_one_too_many(
    seed: int, places: int, waiting_room: int
) -> None:
    async def storm() -> None:
        lane, dice = Lane("m-1", places=places, waiting_room=waiting_room), random.Random(seed)  # noqa: S311

        async def visit() -> None:
            await lane.enter(Deadline.after(dice.choice([0.0, 0.001, LATER])))
            try:
                assert lane.taken <= places
                await turns(dice.randrange(4))
            finally:
                lane.leave()

        visits = []
        for _ in range(60):
            visits.append(asyncio.create_task(visit()))
            await turns(dice.randrange(2))
            if dice.random() < 0.3:
                dice.choice(visits).cancel()
        ends = await asyncio.gather(*visits, return_exceptions=True)

        allowed = (Overloaded, DeadlineExceeded, asyncio.CancelledError)
        assert all(end is None or isinstance(end, allowed) for end in ends)
        assert (lane.taken, lane.waiting) == (0, 0)

    asyncio.run(storm())
