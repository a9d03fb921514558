"""The supervisor as a child sees it: hands over the wiring, gives orders, wants one report."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from serving.supervisor.supervised import Report

_PR_SET_PDEATHSIG = 1  # prctl(2)
_LINE_LIMIT_BYTES = 1024 * 1024
WAKE = "wake"


def die_with_supervisor() -> None:
    """Ask the kernel (Linux) to kill this process when the one that started it ends.

    Elsewhere, and for a supervisor that has just ended, the end of our input does it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Superior:
    """Our end of the pipes to the supervisor.

    Args:
        orders: Our standard input.
        report: Descriptor that takes the one report.
    """

    def __init__(self, orders: asyncio.StreamReader, report: int) -> None:
        self._orders = orders
        self._report = report
        self._leaving = asyncio.Event()
        self._wake: Callable[[str], None] = lambda backend: None

    async def wiring(self) -> str:
        """Return the first line; empty when the supervisor has gone before it wrote one."""
        return (await self._orders.readline()).decode()

    def on_wake(self, callback: Callable[[str], None]) -> None:
        """Call back with a TorchServe's name when it was started anew, empty."""
        self._wake = callback

    def report(self, report: Report) -> None:
        """Say that we serve, or why not; once."""
        with os.fdopen(self._report, "w") as pipe:
            pipe.write(report.model_dump_json() + "\n")

    async def left(self) -> None:
        """Follow orders until it is time to finish: the input's end, or SIGTERM."""
        await self._leaving.wait()

    async def follow(self) -> None:
        """Read orders until there are no more."""
        while line := await self._orders.readline():
            order, _, backend = line.decode().strip().partition(" ")
            if order == WAKE:
                self._wake(backend)
        self._leaving.set()

    def leave(self) -> None:
        """Have `left` return."""
        self._leaving.set()


@asynccontextmanager
async def superior(report: int) -> AsyncIterator[Superior]:
    """Listen to the supervisor for as long as the block runs.

    Args:
        report: Descriptor that takes the one report.
    """
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=_LINE_LIMIT_BYTES)
    pipe, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), os.fdopen(0, "rb", buffering=0)
    )
    ours = Superior(orders, report)
    loop.add_signal_handler(signal.SIGTERM, ours.leave)
    try:
        yield ours
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        pipe.close()
