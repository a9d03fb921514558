import asyncio

import pytest

from serving.errors import BackendUnavailable
from serving.worker.leaving import Leaving


def test_a_worker_that_stays_answers_as_torchserve_does() -> None:
    leaving = Leaving()

    leaving.refuse()
    assert leaving.answer("GET", "/models") is None


async def test_one_that_leaves_says_once_that_nothing_runs_and_then_refuses() -> None:
    leaving = Leaving()
    going = asyncio.create_task(leaving.leave(60))
    await asyncio.sleep(0)

    with pytest.raises(BackendUnavailable, match="stopping"):
        leaving.answer("GET", "/models/student/1.0")
    told = leaving.answer("GET", "/models")
    assert told is not None
    assert told.body == b'{"models": []}'
    for method in ("GET", "POST"):
        with pytest.raises(BackendUnavailable, match="stopping"):
            leaving.answer(method, "/models")
    assert not going.done()  # the last frames have their time
    going.cancel()


async def test_leaving_takes_no_longer_than_it_may() -> None:
    await asyncio.wait_for(Leaving().leave(0.01), timeout=30)
