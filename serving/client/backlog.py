"""A camera's frames on the client's side: which are unanswered, and which of them to send."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from proto.wire.v1 import detection_pb2 as wire


@dataclass(eq=False)
class _Asked:
    """A frame without an answer that the caller has.

    Attributes:
        camera_id: Of the request.
        frame_id: Of the request.
        request: The request as long as it may have to be sent, or sent again.
        told: Its answer, until the answers before it are there.
    """

    camera_id: str
    frame_id: str
    request: wire.DetectRequest | None
    told: wire.DetectResponse | None = None

    def drop(self) -> None:
        """Answer it as overtaken."""
        self.request = None
        self.told = wire.DetectResponse(
            camera_id=self.camera_id, frame_id=self.frame_id, dropped=True
        )


class Backlog:
    """Frames in the order they came, each with one answer in the end.

    Unless every frame counts, at most one waits to be sent, and only the newest is kept to be sent
    again: a newer one overtakes it.

    Args:
        every_frame: Whether no frame may be overtaken.
        most: Frames without an answer; then no more are to be added.
    """

    def __init__(self, *, every_frame: bool, most: int) -> None:
        self._every_frame = every_frame
        self._most = most
        self._asked: deque[_Asked] = deque()
        self._unsent: deque[_Asked] = deque()
        self._sent: deque[_Asked] = deque()
        self._closed = False
        self._watchers: set[asyncio.Future[None]] = set()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until `reached`, asked again after each change of this backlog."""
        while not reached():
            change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._watchers.add(change)
            try:
                await change
            finally:
                self._watchers.discard(change)

    def wake(self) -> None:
        """Have everybody who waits look again."""
        for change in self._watchers:
            if not change.done():
                change.set_result(None)

    @property
    def full(self) -> bool:
        """Whether no more may be added now."""
        return len(self._asked) >= self._most

    @property
    def has_answers(self) -> bool:
        """Whether an answer's turn has come."""
        return bool(self._asked) and self._asked[0].told is not None

    @property
    def to_send(self) -> bool:
        """Whether a frame waits to be sent."""
        return bool(self._unsent)

    @property
    def all_sent(self) -> bool:
        """Whether no frame waits to be sent and none will come."""
        return self._closed and not self._unsent

    @property
    def all_answered(self) -> bool:
        """Whether each frame has its answer and none will come; some may not be handed out yet."""
        return self.all_sent and not self._sent

    def close(self) -> None:
        """Say that no frame comes any more."""
        self._closed = True
        self.wake()

    def add(self, request: wire.DetectRequest) -> None:
        """Take the camera's next frame."""
        asked = _Asked(request.camera_id, request.frame_id, request)
        self._asked.append(asked)
        if not self._every_frame and self._unsent:
            self._unsent.pop().drop()
        self._unsent.append(asked)
        self.wake()

    def send(self) -> wire.DetectRequest:
        """Return the frame to send next: there is one."""
        if not self._every_frame and self._sent:
            self._sent[-1].request = None
        asked = self._unsent.popleft()
        self._sent.append(asked)
        if asked.request is None:
            raise RuntimeError("a frame that waits to be sent has its request")
        return asked.request

    def answered(self, response: wire.DetectResponse) -> None:
        """Take the answer to the oldest frame sent."""
        if self._sent:
            asked = self._sent.popleft()
            asked.request, asked.told = None, response
            self.wake()

    def lost(self) -> None:
        """Say that what was sent will not be answered: it is sent again or was overtaken."""
        if self._every_frame:
            self._unsent.extendleft(reversed(self._sent))
        elif self._sent and not self._unsent:
            self._unsent.append(self._sent.pop())
        if not self._every_frame:
            for asked in self._sent:
                asked.drop()
        self._sent.clear()
        self.wake()

    def ready(self) -> Iterator[wire.DetectResponse]:
        """Hand out the answers whose turn has come."""
        while self._asked and (told := self._asked[0].told) is not None:
            self._asked.popleft()
            self.wake()
            yield told
