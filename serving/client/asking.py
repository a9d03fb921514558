"""Has a frame asked again until it is answered, or until that is of no use any more."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from proto.wire.v1 import detection_pb2 as wire
from serving.client.lines import Line, Lines
from serving.client.retries import Attempts, RetryBudget, is_down, is_lost
from serving.errors import UnderstudyError

Connection = TypeVar("Connection")


def ask(
    lines: Lines[Connection],
    budget: RetryBudget,
    timeout_s: float,
    once: Callable[[Line[Connection], float], wire.DetectResponse],
) -> wire.DetectResponse:
    """Return what `once` returns, told a line and the seconds left, on the first line that does.

    Raises:
        UnderstudyError: The last one that `once` raised.
    """
    attempts = Attempts(timeout_s, addresses=len(lines), budget=budget)
    while True:
        with lines.line(attempts.tried) as line:
            try:
                response = once(line, attempts.remaining_s)
            except UnderstudyError as error:
                pause_s = attempts.pause_s(error, line.address)
            else:
                attempts.succeeded()
                return response
        time.sleep(pause_s)


async def ask_async(
    lines: Lines[Connection],
    budget: RetryBudget,
    timeout_s: float,
    once: Callable[[Line[Connection], float], Awaitable[wire.DetectResponse]],
) -> wire.DetectResponse:
    """Do as `ask`, for asyncio."""
    attempts = Attempts(timeout_s, addresses=len(lines), budget=budget)
    while True:
        with lines.line(attempts.tried) as line:
            try:
                response = await once(line, attempts.remaining_s)
            except UnderstudyError as error:
                pause_s = attempts.pause_s(error, line.address)
            else:
                attempts.succeeded()
                return response
        await asyncio.sleep(pause_s)


@contextmanager
def replaced_where_lost(lines: Lines[Connection], line: Line[Connection]) -> Iterator[None]:
    """Have a line replaced whose call failed where another may do better."""
    try:
        yield
    except UnderstudyError as error:
        if is_lost(error):
            lines.failed(line, shun=is_down(error))
        raise
