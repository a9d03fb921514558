"""Cameras that send on a fixed clock, whether the last answer is there or not."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np

from serving.errors import UnderstudyError

Ask = Callable[[str, bytes], Awaitable[str]]
"""Sends one camera's frame; returns the version that answered."""

DEADLINE_S = 10.0
# An answer later than this after the deadline is none.
_HUNG_AFTER_S = DEADLINE_S + 1.0


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame and what came of it.

    Attributes:
        due_s: When its camera's clock sent it, on `time.monotonic`.
        latency_s: From then to the answer, whatever it was.
        version: Who answered, "" for nobody.
        failure: "" for detections, "hung", or the error's code.
        told: The error's own words.
    """

    due_s: float
    latency_s: float
    version: str
    failure: str
    told: str = ""


class Load:
    """A fleet under way; `frames` grows while it runs.

    Args:
        ask: How a frame is sent.
        frames: Encoded images, sent in turn.
        cameras: How many.
        rate: Frames a second, all cameras together.
    """

    def __init__(self, ask: Ask, frames: Sequence[bytes], *, cameras: int, rate: float) -> None:
        self._ask = ask
        self._images = frames
        self._cameras = cameras
        self._period_s = cameras / rate
        self._pending: dict[asyncio.Task[None], float] = {}
        self.frames: list[Frame] = []

    def under_way_since(self, moment_s: float) -> bool:
        """Whether a frame that was due before a moment has no answer yet."""
        return any(due_s < moment_s for due_s in self._pending.values())

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Load"]:
        """Send while the block runs; at its end every frame under way is waited for."""
        cameras = [asyncio.create_task(self._camera(number)) for number in range(self._cameras)]
        try:
            yield self
        finally:
            for camera in cameras:
                camera.cancel()
            await asyncio.gather(*cameras, return_exceptions=True)
            await asyncio.gather(*self._pending)

    async def _camera(self, number: int) -> None:
        started_s = time.monotonic() + self._period_s * number / self._cameras
        turn = 0
        while True:
            due_s = started_s + turn * self._period_s
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            image = self._images[(turn + 7 * number) % len(self._images)]
            sending = asyncio.create_task(self._send(f"camera-{number:03d}", image, due_s))
            self._pending[sending] = due_s
            sending.add_done_callback(self._pending.pop)
            turn += 1

    async def _send(self, camera_id: str, image: bytes, due_s: float) -> None:
        version, failure, told = "", "", ""
        try:
            async with asyncio.timeout(_HUNG_AFTER_S):
                version = await self._ask(camera_id, image)
        except TimeoutError:
            failure = "hung"
        except UnderstudyError as error:
            failure, told = error.code, error.message
        except Exception as error:  # noqa: BLE001 - whatever a client raises is a lost frame
            failure, told = type(error).__name__, str(error)
        self.frames.append(Frame(due_s, time.monotonic() - due_s, version, failure, told))


async def capacity(ask: Ask, images: Sequence[bytes], *, seconds: float, at_once: int) -> float:
    """Return the frames a second that are answered when `at_once` are always under way."""
    answered = 0
    end_s = time.monotonic() + seconds

    async def camera(number: int) -> None:
        nonlocal answered
        turn = number
        while time.monotonic() < end_s:
            await ask(f"camera-{number:03d}", images[turn % len(images)])
            answered += 1
            turn += 1

    started_s = time.monotonic()
    await asyncio.gather(*(camera(number) for number in range(at_once)))
    return answered / (time.monotonic() - started_s)


def percentile_ms(frames: Sequence[Frame], share: float) -> float | None:
    """Return a percentile of the answered frames' latencies, milliseconds; None without any."""
    answered = [frame.latency_s for frame in frames if not frame.failure]
    return round(float(np.quantile(answered, share)) * 1000, 2) if answered else None


def tally(frames: Sequence[Frame]) -> dict[str, object]:
    """Return how many frames there were, failed and hung, and what the failed were told."""
    failures = Counter(frame.failure for frame in frames if frame.failure)
    hung = failures.pop("hung", 0)
    return {
        "frames": len(frames),
        "failed": sum(failures.values()),
        "hung": hung,
        "failures": dict(failures),
        "told": [
            {"after_s": round(frame.due_s - frames[0].due_s, 2), "told": frame.told[:300]}
            for frame in frames
            if frame.failure
        ][:10],
        "p50_ms": percentile_ms(frames, 0.5),
        "p99_ms": percentile_ms(frames, 0.99),
        "max_ms": percentile_ms(frames, 1.0),
    }
