import asyncio
from collections.abc import AsyncIterator

import pytest

from serving.api.streams import InOrder


class Sender:
    """Hands out numbers and knows how many were asked of it."""

    def __init__(self, count: int) -> None:
        self.read = 0
        self._count = count

    async def numbers(self) -> AsyncIterator[int]:
        for number in range(self._count):
            self.read += 1
            yield number


class Gate:
    """Answers a number once it is let through."""

    def __init__(self) -> None:
        self.open: dict[int, asyncio.Event] = {}
        self.cancelled: list[int] = []
        self.came = asyncio.Condition()

    async def answer(self, number: int) -> int:
        self.open[number] = asyncio.Event()
        async with self.came:
            self.came.notify_all()
        try:
            await self.open[number].wait()
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        return number * 10

    async def until_came(self, *numbers: int) -> None:
        async with asyncio.timeout(5), self.came:
            await self.came.wait_for(lambda: set(numbers) <= set(self.open))


async def test_answers_come_in_the_order_of_the_requests() -> None:
    gate = Gate()
    stream = InOrder(gate.answer, limit=3, stop=asyncio.Event())
    answers = stream.answers(Sender(3).numbers())
    first = asyncio.ensure_future(anext(answers))
    await gate.until_came(0, 1, 2)

    for number in (2, 1, 0):  # answered backwards
        gate.open[number].set()

    assert [await first, *[answer async for answer in answers]] == [0, 10, 20]


async def test_no_more_is_read_than_there_are_places() -> None:
    gate, sender = Gate(), Sender(100)
    stream = InOrder(gate.answer, limit=4, stop=asyncio.Event())
    answers = stream.answers(sender.numbers())
    first = asyncio.ensure_future(anext(answers))
    await gate.until_came(0, 1, 2, 3)

    assert sender.read == 4
    gate.open[0].set()
    await first
    second = asyncio.ensure_future(anext(answers))
    await gate.until_came(4)
    assert sender.read == 5

    second.cancel()
    await asyncio.wait([second])


async def test_leaving_early_cancels_what_is_under_way() -> None:
    gate = Gate()
    stream = InOrder(gate.answer, limit=2, stop=asyncio.Event())
    answers = stream.answers(Sender(10).numbers())
    first = asyncio.ensure_future(anext(answers))
    await gate.until_came(0, 1)

    first.cancel()
    await asyncio.wait([first])

    assert sorted(gate.cancelled) == [0, 1]


async def test_a_stop_answers_what_is_under_way_and_reads_no_more() -> None:
    gate, stop = Gate(), asyncio.Event()

    async def two_then_silence() -> AsyncIterator[int]:
        yield 0
        yield 1
        await asyncio.Event().wait()

    answers = InOrder(gate.answer, limit=8, stop=stop).answers(two_then_silence())
    first = asyncio.ensure_future(anext(answers))
    await gate.until_came(0, 1)

    stop.set()
    gate.open[0].set()
    gate.open[1].set()

    async with asyncio.timeout(5):
        assert [await first, *[answer async for answer in answers]] == [0, 10]


async def test_an_answer_that_raises_ends_the_stream() -> None:
    async def refuse(number: int) -> int:
        raise LookupError(f"no {number}")

    with pytest.raises(LookupError, match="no 0"):
        _ = [
            answer
            async for answer in InOrder(refuse, limit=2, stop=asyncio.Event()).answers(
                Sender(5).numbers()
            )
        ]


async def test_a_sender_that_fails_ends_the_stream_after_its_answers() -> None:
    async def fails() -> AsyncIterator[int]:
        yield 7
        raise ConnectionError("the camera vanished")

    async def double(number: int) -> int:
        return number * 2

    answers = InOrder(double, limit=2, stop=asyncio.Event()).answers(fails())

    assert await anext(answers) == 14
    with pytest.raises(ConnectionError, match="vanished"):
        await anext(answers)
