"""Harvest: frames on which the arms disagree, kept for the next distillation. Off by default.

They are what the student has yet to learn, and pictures of people who were not asked: so there are
limits of rate, size and age, the files are their owner's alone, and README.txt beside them says so.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Literal

import structlog

from serving.dataplane.harvest_folder import HarvestFolder, older_than
from serving.dataplane.harvest_frame import Disagreement
from serving.dataplane.harvest_plan import HarvestPlan
from serving.dataplane.harvest_readme import readme
from serving.dataplane.harvest_writer import write_frame, write_readme

log = structlog.get_logger(__name__)

Outcome = Literal["kept", "limited", "dropped", "failed"]
"""Written; over a rate limit; the writer was behind; unreadable, too large or not writable."""

_WAITING = 8
_TRIM_EVERY_S = 60.0
_STOP_TIMEOUT_S = 5.0
# After a trim there is room for a while, so that not every frame needs one.
_TRIMMED_TO = 0.95


class Harvest:
    """Takes frames on the loop, without waiting, and writes them in a thread, one at a time.

    Args:
        plan: Where to, and the limits.
        counted: Called with what became of each frame on which the arms disagreed.
        clock: Seconds, for the limits of rate.
    """

    def __init__(
        self,
        plan: HarvestPlan,
        counted: Callable[[Outcome], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._folder = HarvestFolder(plan.folder)
        self._counted = counted
        self._rate = _Rate(plan, clock)
        self._waiting: asyncio.Queue[Disagreement | None] = asyncio.Queue(_WAITING)
        self._held_bytes = 0
        self._trimmed_at = 0.0

    def offer(self, frame: Disagreement) -> None:
        """Keep a frame if the arms disagree enough and the limits allow it; never waits."""
        if frame.agreement.f1 >= self._plan.below_f1:
            return
        if self._waiting.full():
            self._counted("dropped")
        elif not self._rate.takes(frame.camera_id):
            self._counted("limited")
        else:
            self._waiting.put_nowait(frame)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write what is offered for as long as the block runs, and at its end what still waits."""
        writing = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            with suppress(TimeoutError):  # a disk that hangs must not hold up the stop
                async with asyncio.timeout(_STOP_TIMEOUT_S):
                    await self._waiting.put(None)
                    await asyncio.wait([writing])
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _follow(self) -> None:
        await self._in_thread(self._open)
        while True:
            frame: Disagreement | None = None
            try:
                async with asyncio.timeout(_TRIM_EVERY_S):
                    frame = await self._waiting.get()
            except TimeoutError:
                # Frames grow old where none come in, too.
                await self._in_thread(self._trim)
                continue
            if frame is None:
                return
            kept = await self._in_thread(partial(self._keep, frame))
            self._counted("kept" if kept else "failed")

    async def _in_thread(self, work: Callable[[], bool]) -> bool:
        """Do the work off the loop; False where the disk, or the frame, does not play along."""
        try:
            return await asyncio.to_thread(work)
        except Exception:
            log.exception("harvest_failed", folder=str(self._plan.folder))
            return False

    def _open(self) -> bool:
        write_readme(self._plan.folder, readme(self._plan))
        return self._trim()

    def _keep(self, frame: Disagreement) -> bool:
        if len(frame.image) > self._plan.max_bytes:
            return False
        self._make_room(len(frame.image))
        kept = write_frame(self._plan.folder, frame)
        if kept is None:
            return False
        self._held_bytes += kept.size_bytes
        self._make_room(0)
        return True

    def _make_room(self, size_bytes: int) -> None:
        overdue = time.monotonic() - self._trimmed_at > _TRIM_EVERY_S
        if overdue or self._held_bytes + size_bytes > self._plan.max_bytes:
            self._trim(size_bytes)

    def _trim(self, size_bytes: int = 0) -> bool:
        # Counted anew each time: other gateways write here, and people delete.
        wanted = int(self._plan.max_bytes * _TRIMMED_TO) - size_bytes
        before = older_than(self._plan.max_age)
        self._held_bytes = self._folder.trim(before=before, max_bytes=max(0, wanted))
        self._trimmed_at = time.monotonic()
        return True


class _Rate:
    """Counts a minute's frames, together and by camera."""

    def __init__(self, plan: HarvestPlan, clock: Callable[[], float]) -> None:
        self._plan = plan
        self._clock = clock
        self._minute = -1
        self._cameras: Counter[str] = Counter()

    def takes(self, camera_id: str) -> bool:
        """Whether another frame of this camera may be kept now; if so, it counts."""
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute = minute
            self._cameras.clear()
        if self._cameras.total() >= self._plan.max_per_minute:
            return False
        if self._cameras[camera_id] >= self._plan.max_per_minute_of_camera:
            return False
        self._cameras[camera_id] += 1
        return True
