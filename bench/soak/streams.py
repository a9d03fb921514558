"""Cameras that stay connected, on a route whose release is never swapped."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bench.soak.judging import Failure
from proto.wire.v1 import detection_pb2 as wire
from serving.client import AsyncDetectClient
from serving.errors import StreamEnded, UnderstudyError


class Streams:
    """A few cameras' streams.

    Args:
        client: Of the deployment.
        images: Encoded, sent in turn.
        route: That answers them.
        cameras: How many.
        period_s: Of each camera's frames.
    """

    def __init__(
        self,
        client: AsyncDetectClient,
        images: Sequence[bytes],
        *,
        route: str,
        cameras: int,
        period_s: float,
    ) -> None:
        self._client = client
        self._images = images
        self._route = route
        self._cameras = cameras
        self._period_s = period_s
        self._done = asyncio.Event()
        self.answered = 0
        self.dropped = 0
        self.reconnected = 0
        self.failures: list[Failure] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Streams"]:
        """Stream for as long as the block runs."""
        cameras = [asyncio.create_task(self._camera(one)) for one in range(self._cameras)]
        try:
            yield self
        finally:
            self._done.set()
            await asyncio.gather(*cameras)

    async def _camera(self, number: int) -> None:
        while not self._done.is_set():
            began_s = time.monotonic()
            try:
                await self._follow(number)
            except UnderstudyError as error:
                self.failures.append(Failure(error.code, began_s, time.monotonic()))
                await asyncio.sleep(1.0)

    async def _follow(self, number: int) -> None:
        """Send and count until told to stop."""
        sent_s: list[float] = []
        frames = self._frames(number, sent_s)
        async for response in self._client.live(frames, reconnecting=self._again):
            due_s = sent_s.pop(0)
            if response.HasField("error"):
                self.failures.append(Failure(response.error.code, due_s, time.monotonic()))
            elif response.dropped:
                self.dropped += 1
            else:
                self.answered += 1

    async def _frames(self, number: int, sent_s: list[float]) -> AsyncIterator[wire.DetectRequest]:
        turn = number
        while not self._done.is_set():
            sent_s.append(time.monotonic())
            yield wire.DetectRequest(
                image=self._images[turn % len(self._images)],
                camera_id=f"stream-{number}",
                frame_id=str(turn),
                route=self._route,
            )
            turn += 1
            await asyncio.sleep(self._period_s)

    def _again(self, error: UnderstudyError, _pause_s: float) -> None:
        self.reconnected += 1
        if not isinstance(error, StreamEnded):  # its time was over: no failure
            now_s = time.monotonic()
            self.failures.append(Failure(f"stream: {error.code}", now_s, now_s))
