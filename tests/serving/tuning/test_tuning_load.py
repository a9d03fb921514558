"""Load: arrivals, places, waits, and what never came back."""

import asyncio
import itertools
import math

import pytest

from serving.errors import WorkerDied
from serving.torchserve.inference import WorkerReply
from serving.tuning.load import Measured, arrivals_s, offered, pooled, saturated

REPLY = WorkerReply(9, 9, (), (), (), "v", 0, 0, 0, 0, 1)


class Worker:
    """Answers at the loop's next turn, and counts who is with it."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.most = 0
        self._inside = 0

    async def ask(self, place: int) -> WorkerReply:
        self.asked.append(place)
        self._inside += 1
        self.most = max(self.most, self._inside)
        await asyncio.sleep(0)
        self._inside -= 1
        return REPLY


async def never(_: int) -> WorkerReply:
    await asyncio.Event().wait()
    return REPLY


async def dies(_: int) -> WorkerReply:
    raise WorkerDied("it died")


@pytest.mark.parametrize(("rate", "seconds"), [(4, 10), (5, 10), (10, 15), (20, 7.5), (40, 10)])
def test_exactly_as_many_frames_arrive_as_the_rate_says(rate: float, seconds: float) -> None:
    moments = arrivals_s(rate, seconds)

    assert len(moments) == rate * seconds
    assert moments == sorted(moments)
    assert 0 <= moments[0] <= moments[-1] < seconds


def test_a_draw_is_the_same_each_time_and_another_is_not() -> None:
    assert arrivals_s(10, 10, 1) == arrivals_s(10, 10, 1)
    assert arrivals_s(10, 10, 1) != arrivals_s(10, 10, 2)


def test_arrivals_are_irregular() -> None:
    gaps = [later - earlier for earlier, later in itertools.pairwise(arrivals_s(100, 100))]

    # A Poisson process: mean and standard deviation of the gaps are one.
    mean = sum(gaps) / len(gaps)
    spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert spread == pytest.approx(mean, rel=0.05)


def test_a_frame_comes_however_low_the_rate() -> None:
    assert len(arrivals_s(0.01, 1)) == 1


def test_several_looks_are_pooled_by_frames() -> None:
    calm = Measured(10.0, 1.0, 1.0, 300, 30.0, [1.0] * 300)
    rough = Measured(10.0, 1.0, 9.0, 100, 10.0, [1.0] * 90 + [9.0] * 10)

    both = pooled([calm, rough])

    assert (both.answered, both.seconds, both.frames_per_s) == (400, 40.0, 10.0)
    assert (both.p50_ms, both.p99_ms) == (1.0, 9.0)


async def test_every_place_is_taken_and_no_more() -> None:
    worker = Worker()

    measured = await saturated(worker.ask, 3, places=4, seconds=0.05, warm_up_s=0.01)

    assert worker.most == 4
    assert worker.asked[:6] == [0, 1, 2, 0, 1, 2]
    assert 0 < measured.answered <= len(worker.asked)
    assert measured.frames_per_s > 0
    assert {place for place, _ in measured.replies} == {0, 1, 2}


async def test_offered_frames_are_all_answered_in_no_more_places_than_there_are() -> None:
    worker, moments = Worker(), arrivals_s(2000, 0.1)

    measured = await offered(worker.ask, 5, places=2, moments_s=moments, seconds=0.1, patience_s=10)

    assert worker.most <= 2
    assert measured.answered == len(moments) == len(worker.asked)
    assert measured.p50_ms <= measured.p99_ms < math.inf


async def test_frames_that_never_come_back_have_waited_for_ever() -> None:
    measured = await offered(
        never, 1, places=2, moments_s=[0.0, 0.01], seconds=0.05, patience_s=0.01
    )

    assert (measured.answered, measured.p99_ms) == (0, math.inf)


async def test_a_failure_under_either_load_is_raised_as_it_is() -> None:
    with pytest.raises(WorkerDied):
        await saturated(dies, 1, places=3, seconds=0.1, warm_up_s=0)
    with pytest.raises(WorkerDied):
        await offered(dies, 1, places=3, moments_s=[0.0, 0.01], seconds=0.1, patience_s=1)
