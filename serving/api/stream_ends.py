"""Why a camera's stream ends before the camera wants it to."""

import asyncio
import random
from dataclasses import dataclass
from typing import NamedTuple

from serving.errors import CameraTakenOver, StreamEnded


class Camera(NamedTuple):
    """Whose a stream is: the same camera id under another key is another's camera."""

    key_id: str
    route: str
    camera_id: str

    def __str__(self) -> str:
        return f"camera {self.camera_id!r} on route {self.route!r}"


@dataclass(frozen=True)
class StreamLimits:
    """What a stream may hold and how long it may last.

    Attributes:
        places: Frames of a stream under way at once; one more may wait.
        places_for_all: The same on a stream that wants every frame answered.
        unanswered: Frames read whose answers have not left; then nothing more is read.
        age_s: After about this long a camera is asked to connect again, so that cameras spread
            over the gateways that there are now.
        jitter: Each stream's age is spread by this share, so that they do not end together.
        idle_s: A stream on which nothing comes for so long ends.
        stall_s: So does one whose other end does not take an answer for so long.
        recheck_s: How often a stream's key is looked at again, frames or no frames.
        spread_s: Cameras asked to connect again do so within about this long.
    """

    places: int = 2
    places_for_all: int = 8
    unanswered: int = 256
    age_s: float = 1800.0
    jitter: float = 0.1
    idle_s: float = 300.0
    stall_s: float = 60.0
    recheck_s: float = 1.0
    spread_s: float = 1.0

    def one_age_s(self) -> float:
        """Return one stream's age in seconds, spread."""
        return self.age_s * (1 + self.jitter * (2 * random.random() - 1))  # noqa: S311 - no secret

    def connect_again(self, why: str) -> StreamEnded:
        """Return the end that asks a camera to connect again, at a moment of its own."""
        retry_after_s = self.spread_s * random.random()  # noqa: S311 - no secret
        return StreamEnded(f"{why}: connect again", retry_after_s=retry_after_s)


class Ending:
    """Whether a stream is to read no more, and why: the first reason stays.

    Attributes:
        asked: Set when it is.
        reason: Why, once it is.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.reason: Exception | None = None

    def ask(self, reason: Exception) -> None:
        """Have the stream answer what it has read, and end."""
        if self.reason is None:
            self.reason = reason
            self.asked.set()


class Claims:
    """Which stream is which camera's: of two, the newer.

    A camera whose network broke comes back before its dead connection is found out, and must not
    wait for that.
    """

    def __init__(self) -> None:
        self._streams: dict[Camera, Ending] = {}

    def take(self, camera: Camera, stream: Ending) -> None:
        """Make `stream` the camera's; one that was before is asked to end."""
        before = self._streams.get(camera)
        self._streams[camera] = stream
        if before is not None and before is not stream:
            before.ask(CameraTakenOver(f"another stream of {camera} took over"))

    def leave(self, camera: Camera, stream: Ending) -> None:
        """Forget the camera, unless another stream has taken over."""
        if self._streams.get(camera) is stream:
            del self._streams[camera]
