import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.api.streams import NewestWins

DROPPED = -1


class Sender:
    """Hands out the numbers that it is given, and knows how many were asked of it."""

    def __init__(self, *numbers: int | None) -> None:
        self.read = 0
        self._numbers: asyncio.Queue[int | None] = asyncio.Queue()
        self.send(*numbers)

    def send(self, *numbers: int | None) -> None:
        for number in numbers:
            self._numbers.put_nowait(number)

    async def numbers(self) -> AsyncIterator[int]:
        while (number := await self._numbers.get()) is not None:
            self.read += 1
            yield number


class Gate:
    """Answers a number once it is let through."""

    def __init__(self) -> None:
        self.came: list[int] = []
        self.cancelled: list[int] = []
        self._open: dict[int, asyncio.Event] = {}
        self._changed = asyncio.Condition()

    async def answer(self, number: int) -> int:
        async with self._changed:
            self.came.append(number)
            self._changed.notify_all()
        try:
            await self._open.setdefault(number, asyncio.Event()).wait()
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        return number * 10

    def let(self, *numbers: int) -> None:
        for number in numbers:
            self._open.setdefault(number, asyncio.Event()).set()

    async def until_came(self, *numbers: int) -> None:
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: set(numbers) <= set(self.came))


def overtaken(number: int) -> int:
    return DROPPED


def stream(
    gate: Gate, *, places: int = 2, unanswered: int = 100, stop: asyncio.Event | None = None
) -> NewestWins[int, int]:
    return NewestWins(
        gate.answer,
        overtaken,
        places=places,
        unanswered=unanswered,
        stop=stop or asyncio.Event(),
    )


async def settled() -> None:
    """Let every task that can run do so: nothing here waits for the outside."""
    for _ in range(50):
        await asyncio.sleep(0)


async def collect(answers: AsyncIterator[int]) -> list[int]:
    async with asyncio.timeout(5):
        return [answer async for answer in answers]


async def test_answers_come_in_the_order_of_the_requests() -> None:
    gate = Gate()
    answers = asyncio.ensure_future(
        collect(stream(gate, places=3).answers(Sender(0, 1, 2, None).numbers()))
    )
    await gate.until_came(0, 1, 2)

    gate.let(2, 1, 0)  # answered backwards

    assert await answers == [0, 10, 20]


async def test_the_newest_waits_and_the_one_before_it_is_overtaken() -> None:
    gate, sender = Gate(), Sender(0, 1, 2, 3, 4)
    answers = asyncio.ensure_future(collect(stream(gate).answers(sender.numbers())))
    await gate.until_came(0, 1)
    await settled()

    gate.let(0)
    await gate.until_came(4)
    sender.send(None)
    gate.let(1, 4)

    assert await answers == [0, 10, DROPPED, DROPPED, 40]
    assert gate.came == [0, 1, 4]


async def test_with_as_much_room_as_places_none_is_overtaken_and_no_more_is_read() -> None:
    gate, sender = Gate(), Sender(*range(10))
    sender.send(None)
    answers = asyncio.ensure_future(
        collect(stream(gate, places=4, unanswered=4).answers(sender.numbers()))
    )
    await gate.until_came(0, 1, 2, 3)
    await settled()

    assert sender.read == 4
    gate.let(*range(10))
    assert await answers == [number * 10 for number in range(10)]


async def test_one_who_does_not_take_its_answers_is_not_read_from_for_ever() -> None:
    gate, sender = Gate(), Sender(*range(100))
    gate.let(*range(100))
    answers = stream(gate, places=2, unanswered=10).answers(sender.numbers())

    first = await anext(answers)  # and no second
    await settled()

    assert first == 0
    assert sender.read == 10
    assert gate.came == [0, 1]
    await answers.aclose()  # type: ignore[attr-defined] # a generator has it


async def test_leaving_early_cancels_what_is_under_way() -> None:
    gate = Gate()
    answers = asyncio.ensure_future(
        collect(stream(gate).answers(Sender(*range(10)).numbers())),
    )
    await gate.until_came(0, 1)

    answers.cancel()
    await asyncio.wait([answers])

    assert sorted(gate.cancelled) == [0, 1]


async def test_a_stop_answers_what_was_read_the_waiting_one_too_and_reads_no_more() -> None:
    gate, stop, sender = Gate(), asyncio.Event(), Sender(0, 1, 2)
    answers = asyncio.ensure_future(collect(stream(gate, stop=stop).answers(sender.numbers())))
    await gate.until_came(0, 1)
    await settled()

    stop.set()
    await settled()
    sender.send(3)
    gate.let(0, 1, 2, 3)

    assert await answers == [0, 10, 20]


async def test_an_answer_that_raises_ends_the_stream_in_its_turn() -> None:
    async def refuse(number: int) -> int:
        if number:
            raise LookupError(f"no {number}")
        return number

    answers = NewestWins(refuse, overtaken, places=3, unanswered=9, stop=asyncio.Event()).answers(
        Sender(0, 1, 2).numbers()
    )

    assert await anext(answers) == 0
    with pytest.raises(LookupError, match="no 1"):
        await anext(answers)


async def test_a_sender_that_fails_ends_the_stream_after_its_answers() -> None:
    async def fails() -> AsyncIterator[int]:
        yield 7
        raise ConnectionError("the camera vanished")

    gate = Gate()
    gate.let(7)
    answers = stream(gate).answers(fails())

    assert await anext(answers) == 70
    with pytest.raises(ConnectionError, match="vanished"):
        await anext(answers)


@dataclass
class Played:
    """A stream driven step by step, and what is always true of it."""

    places: int
    unanswered: int
    gate: Gate = field(default_factory=Gate)
    sender: Sender = field(default_factory=Sender)
    sent: int = 0
    told: list[int] = field(default_factory=list)
    takes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def take_answers(self) -> None:
        played = stream(self.gate, places=self.places, unanswered=self.unanswered)
        async for answer in played.answers(self.sender.numbers()):
            self.told.append(answer)
            await self.takes.acquire()

    async def step(self, action: str) -> None:
        if action == "send":
            self.sender.send(self.sent)
            self.sent += 1
        elif action == "take":
            self.takes.release()
        else:
            waiting = [n for n in self.gate.came if n * 10 not in self.told]
            self.gate.let(*(waiting[-1:] if action == "answer newest" else waiting[:1]))
        await settled()
        assert self.sender.read - len(self.told) < self.unanswered + 1
        assert len(self.gate.came) - sum(n != DROPPED for n in self.told) <= self.places


STEPS = st.lists(
    st.sampled_from(["send", "send", "send", "take", "answer newest", "answer oldest"]),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, places=st.integers(1, 4), extra=st.integers(0, 8))
async def test_whatever_the_timing_each_request_gets_one_answer_in_order_and_the_newest_a_real_one(
    steps: list[str], places: int, extra: int
) -> None:
    played = Played(places, places + extra)
    taking = asyncio.ensure_future(played.take_answers())
    for step in steps:
        await played.step(step)

    played.sender.send(None)
    played.gate.let(*range(played.sent))
    for _ in range(played.sent + 1):
        played.takes.release()
    async with asyncio.timeout(10):
        await taking

    assert len(played.told) == played.sent
    assert all(told in {DROPPED, n * 10} for n, told in enumerate(played.told))
    assert not played.told or played.told[-1] != DROPPED
    assert extra or DROPPED not in played.told
