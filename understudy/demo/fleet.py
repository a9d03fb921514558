"""Cameras that send frames at a steady rate and remember what came of each."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from proto.wire.v1 import detection_pb2

Ask = Callable[[detection_pb2.DetectRequest], Awaitable[detection_pb2.DetectResponse]]
# A client ends its call at the deadline; this is for one that does not even do that.
_PATIENCE_S = 2.0


class Outcome(StrEnum):
    """What came of a frame."""

    DETECTIONS = "detections"
    FAILED = "failed"
    HUNG = "hung"


@dataclass(frozen=True)
class Sent:
    """A frame and what came of it.

    Attributes:
        camera_id: Who sent it.
        at_s: When it was sent, on `time.perf_counter`.
        latency_s: From sending to the answer, the error or giving up.
        outcome: What came of it.
        arm: Who answered, "" for nobody.
        error: What the client was told, "" if nothing went wrong.
        variant: Which of the arm's variants answered, "" for none.
    """

    camera_id: str
    at_s: float
    latency_s: float
    outcome: Outcome
    arm: str = ""
    error: str = ""
    variant: str = ""


class Fleet:
    """Cameras that replay frames through the gateway until they are told to stop.

    A camera sends its next frame when its period has passed and the last answer is there. A frame
    without detections or a refusal within the deadline is counted as hung, whoever gave up on it:
    clients end a call at its deadline by themselves and say so with an error.

    Args:
        asks: How each camera asks, by camera id: over gRPC or HTTP.
        frames: Encoded images, sent in turn; each camera starts elsewhere.
        period_s: Time between a camera's frames.
        deadline_s: What the client gives the gateway to answer.
        noted: Told of each frame when it is known what came of it.

    Attributes:
        sent: Every frame so far and what came of it.
        last_arm: Who last answered, by camera id; a camera without an answer is absent.
    """

    def __init__(
        self,
        asks: dict[str, Ask],
        frames: Sequence[bytes],
        *,
        period_s: float,
        deadline_s: float,
        noted: Callable[[Sent], None] = lambda _: None,
    ) -> None:
        self._asks = asks
        self._frames = frames
        self._period_s = period_s
        self._deadline_s = deadline_s
        self._noted = noted
        self._stopping = asyncio.Event()
        self._changed = asyncio.Condition()
        self.last_arm: dict[str, str] = {}
        self.sent: list[Sent] = []

    @property
    def camera_ids(self) -> tuple[str, ...]:
        """Every camera of the fleet."""
        return tuple(self._asks)

    async def run(self) -> None:
        """Send until `stop`; every frame under way is waited for."""
        async with asyncio.TaskGroup() as cameras:
            for place, (camera_id, ask) in enumerate(self._asks.items()):
                cameras.create_task(self._camera(place, camera_id, ask))

    def stop(self) -> None:
        """Tell every camera that its current frame is its last."""
        self._stopping.set()

    async def until(self, reached: Callable[["Fleet"], bool], timeout_s: float) -> None:
        """Wait until what the cameras have seen satisfies `reached`.

        Args:
            reached: Takes this fleet; asked again after each frame.
            timeout_s: How long to wait.

        Raises:
            TimeoutError: It was not reached in time.
        """
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: reached(self))

    async def _camera(self, place: int, camera_id: str, ask: Ask) -> None:
        start = (place * 7) % len(self._frames)
        frames: Iterable[bytes] = itertools.islice(itertools.cycle(self._frames), start, None)
        next_at = time.perf_counter() + self._period_s * place / len(self._asks)
        for number, frame in enumerate(frames):
            if await self._stopped_before(next_at):
                return
            request = detection_pb2.DetectRequest(
                image=frame, camera_id=camera_id, frame_id=str(number)
            )
            request.capture_time.GetCurrentTime()
            await self._note(await self._send(ask, request))
            next_at = max(next_at + self._period_s, time.perf_counter())

    async def _stopped_before(self, moment_s: float) -> bool:
        try:
            async with asyncio.timeout(max(0.0, moment_s - time.perf_counter())):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    async def _send(self, ask: Ask, request: detection_pb2.DetectRequest) -> Sent:
        at_s = time.perf_counter()

        def sent(outcome: Outcome, **known: str) -> Sent:
            passed_s = time.perf_counter() - at_s
            return Sent(request.camera_id, at_s, passed_s, outcome, **known)

        try:
            async with asyncio.timeout(self._deadline_s + _PATIENCE_S):
                response = await ask(request)
        except Exception as error:  # noqa: BLE001 - whatever a client raises is a lost frame, and is told
            is_late = time.perf_counter() - at_s >= self._deadline_s
            outcome = Outcome.HUNG if is_late else Outcome.FAILED
            return sent(outcome, error=f"{type(error).__name__}: {error}".rstrip(": "))
        who = response.answered_by
        return sent(Outcome.DETECTIONS, arm=who.arm, variant=who.variant)

    async def _note(self, sent: Sent) -> None:
        async with self._changed:
            self.sent.append(sent)
            if sent.outcome is Outcome.DETECTIONS:
                self.last_arm[sent.camera_id] = sent.arm
            self._noted(sent)
            self._changed.notify_all()
