"""Load on a running release, in two ways: as much as it takes, and as cameras send.

Cameras do not wait for one another's answers, so how long a frame takes is measured at an offered
rate: frames arrive at random moments (the draw of a Poisson process, which many cameras of their
own phases come near; MLPerf's server scenario does the same), and each frame's time runs from its
arrival, whoever was asked before it. A draw is numbered: a look at one rate meets as many frames as
another at that rate, and the same ones under the same number. Callers that ask again once they are
answered (a closed loop) would send less to whoever is slow and hide the wait; they tell how much a
release answers at most.

As the gateway does, no more frames than places are outstanding at once; the others wait here.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import numpy as np

from serving.torchserve.inference import WorkerReply

Ask = Callable[[int], Awaitable[WorkerReply]]
"""Has the frame of a place in the list answered."""

_SEED = 20_261_122
# A batch's answers come this close together.
_TOGETHER_S = 0.005


@dataclass(frozen=True)
class Measured:
    """What came of a load.

    Attributes:
        frames_per_s: Answered, over the whole time.
        p50_ms: From a frame's arrival to its answer; infinite where that was not waited for.
        p99_ms: Likewise.
        answered: Frames.
        seconds: It took.
        waits_ms: Of each frame, as the two above.
        replies: Place of the frame in the list, and the answer.
    """

    frames_per_s: float
    p50_ms: float
    p99_ms: float
    answered: int
    seconds: float
    waits_ms: Sequence[float] = ()
    replies: Sequence[tuple[int, WorkerReply]] = ()


@dataclass(frozen=True)
class _Answer:
    place: int
    at_s: float
    waited_s: float
    reply: WorkerReply


async def saturated(
    ask: Ask, frames: int, *, places: int, seconds: float, warm_up_s: float
) -> Measured:
    """Have every place taken all the time.

    Args:
        ask: Of the release.
        frames: How many there are, asked in turn.
        places: Outstanding at once.
        seconds: Counted.
        warm_up_s: Before, not counted.
    """
    turns = itertools.count()
    began_s = time.perf_counter()
    ends_s = began_s + warm_up_s + seconds
    answers: list[_Answer] = []

    async def caller() -> None:
        while time.perf_counter() < ends_s:
            place, sent_s = next(turns) % frames, time.perf_counter()
            reply = await ask(place)
            now_s = time.perf_counter()
            answers.append(_Answer(place, now_s, now_s - sent_s, reply))

    async with _first_error(), asyncio.TaskGroup() as group:
        for _ in range(places):
            group.create_task(caller())
    counted = [one for one in answers if one.at_s >= began_s + warm_up_s]
    # From one batch's answers to another's: else a large batch would count or not by chance.
    first_s = min(one.at_s for one in counted)
    later = [one for one in counted if one.at_s > first_s + _TOGETHER_S]
    spent_s = max((one.at_s for one in later), default=first_s) - first_s
    return _measured(counted, len(later) / spent_s if later else 0.0, spent_s, lost=0)


async def offered(
    ask: Ask,
    frames: int,
    *,
    places: int,
    moments_s: Sequence[float],
    seconds: float,
    patience_s: float,
) -> Measured:
    """Send frames at given moments.

    Args:
        ask: Of the release.
        frames: How many there are, asked in turn.
        places: Outstanding at once; further frames wait.
        moments_s: When they arrive, from the beginning, in order; see `arrivals_s`.
        seconds: For how long they arrive.
        patience_s: Frames that have waited so long after the last arrival count as never answered.
    """
    gate = asyncio.Semaphore(places)
    answers: list[_Answer] = []
    began_s = time.perf_counter()

    async def frame(place: int, due_s: float) -> None:
        async with gate:
            reply = await ask(place)
        now_s = time.perf_counter()
        answers.append(_Answer(place, now_s, now_s - due_s, reply))

    with suppress(TimeoutError):
        async with (
            asyncio.timeout(seconds + patience_s),
            _first_error(),
            asyncio.TaskGroup() as group,
        ):
            for number, moment_s in enumerate(moments_s):
                due_s = began_s + moment_s
                await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
                group.create_task(frame(number % frames, due_s))
    spent_s = max(seconds, max((one.at_s for one in answers), default=0.0) - began_s)
    lost = len(moments_s) - len(answers)
    return _measured(answers, len(answers) / spent_s, spent_s, lost=lost)


def arrivals_s(rate: float, seconds: float, draw: int = 0) -> list[float]:
    """Return when frames arrive, in seconds from the beginning, in order; one at least.

    Exactly as many as the rate says: a Poisson process, given how many come, spreads them evenly at
    random. Drawn freely, some looks would meet a tenth more frames than others.

    Args:
        rate: In frames a second.
        seconds: No frame arrives later.
        draw: Which moments; the same ones each time.
    """
    count = max(1, round(rate * seconds))
    moments_s = np.random.default_rng([_SEED, draw]).uniform(0, seconds, count)
    return [float(one) for one in np.sort(moments_s)]


def pooled(several: Sequence[Measured]) -> Measured:
    """Return what came of several loads as if of one; none of them may be empty."""
    waits_ms = [wait for one in several for wait in one.waits_ms]
    answered = sum(one.answered for one in several)
    seconds = sum(one.seconds for one in several)
    p50_ms, p99_ms = _quantiles(waits_ms)
    return Measured(answered / seconds, p50_ms, p99_ms, answered, seconds, waits_ms)


@asynccontextmanager
async def _first_error() -> AsyncIterator[None]:
    """Raise what one task of a group raised, not a group of it."""
    try:
        yield
    except ExceptionGroup as several:
        raise several.exceptions[0] from several


def _measured(
    answers: Sequence[_Answer], frames_per_s: float, seconds: float, *, lost: int
) -> Measured:
    waited_ms = [1000 * one.waited_s for one in answers] + [float("inf")] * lost
    p50_ms, p99_ms = _quantiles(waited_ms)
    replies = [(one.place, one.reply) for one in answers]
    return Measured(frames_per_s, p50_ms, p99_ms, len(answers), seconds, waited_ms, replies)


def _quantiles(waits_ms: Sequence[float]) -> tuple[float, float]:
    """Return p50 and p99."""
    p50, p99 = (float(np.percentile(waits_ms, share, method="higher")) for share in (50, 99))
    return p50, p99
